// What the map says of one segment.

import { h } from "./dom.js";
import { sparkline } from "./spark.js";
import { clock, duration, kmh, metres, nameOf, say } from "./text.js";

function row(label, value) {
  return value === undefined ? undefined : h("div", {}, h("dt", {}, label), h("dd", {}, value));
}

/** `properties` of the network feature, `detail` of `/api/v1/segments/{id}`. */
export function popupContent(properties, detail, onClose) {
  const known = detail.speed_mps !== undefined;
  const age = detail.age_s === undefined ? say("never") : duration(detail.age_s);
  const closed = detail.forecast?.closed;
  const about = [say("classes")[properties.class] ?? properties.class, metres(properties.length_m)];
  return h(
    "div",
    { class: "segment" },
    h(
      "div",
      { class: "segment-head" },
      h("div", {}, h("h3", {}, nameOf(properties)), h("p", { class: "quiet" }, about.join(" · "))),
      h("button", { type: "button", class: "close", "aria-label": say("close"), onclick: onClose }, "×"),
    ),
    known
      ? h(
          "div",
          { class: "segment-now" },
          h("strong", {}, `${Math.round(detail.speed_mps * 3.6)}`),
          h("span", { class: "quiet" }, ` ± ${Math.round(detail.sigma_mps * 3.6)} km/h`),
          h("span", { class: `level level-${detail.level}` }, say("levels")[detail.level - 1]),
        )
      : h("p", { class: "quiet" }, say("loading")),
    h(
      "dl",
      { class: "facts" },
      known ? row(say("source"), say("provenance")[detail.provenance]) : undefined,
      known ? row(say("age"), age) : undefined,
      known ? row(say("freeFlow"), kmh(detail.free_flow_mps)) : undefined,
      row(say("limit"), `${properties.limit_kmh} km/h`),
      row(say("lanes"), `${properties.lanes}`),
      detail.sample_count ? row(say("samples"), `${detail.sample_count}`) : undefined,
      closed ? row(say("closed"), `${clock(closed.from_ms)}–${clock(closed.until_ms)}`) : undefined,
      detail.doubt ? row(say("doubt"), say("doubts")[detail.doubt]) : undefined,
      detail.queue_length_m ? row(say("queue"), metres(detail.queue_length_m)) : undefined,
      detail.flow_vph ? row(say("flow"), `${Math.round(detail.flow_vph)} veh/h`) : undefined,
    ),
    detail.forecast
      ? h(
          "figure",
          {},
          h("figcaption", { class: "quiet" }, say(detail.outlook ? "nextThree" : "next")),
          sparkline(detail.forecast, detail.outlook, detail.speed_mps, detail.free_flow_mps),
        )
      : undefined,
    h("p", { class: "quiet id" }, `${properties.source_id} · #${properties.id}`),
  );
}
