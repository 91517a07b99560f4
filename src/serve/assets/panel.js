// The list of guidance: jams and the ways round them, each with its reason.

import { byId, h, setText } from "./dom.js";
import {
  clock,
  currentLanguage,
  duration,
  kmh,
  listed,
  metres,
  nameOf,
  percent,
  say,
} from "./text.js";

function fact(label, value) {
  return h("div", {}, h("dt", {}, label), h("dd", {}, value));
}

function jamBody(jam) {
  const end = jam.forecast_end_ms === undefined ? say("later") : clock(jam.forecast_end_ms);
  return [
    h(
      "dl",
      { class: "facts" },
      fact(say("length"), metres(jam.length_m)),
      fact(say("speed"), kmh(jam.speed_mps)),
      fact(say("delay"), duration(jam.delay_s)),
      fact(say("since"), clock(jam.onset_ms)),
      fact(say("until"), end),
    ),
    h("p", { class: "place" }, say("tail", { name: nameOf(jam.tail) })),
  ];
}

function timeBar(label, seconds, longest, kind) {
  return h(
    "div",
    { class: `time ${kind}` },
    h("span", {}, label),
    h("progress", { max: longest, value: seconds, "aria-label": label }),
    h("b", {}, duration(seconds)),
  );
}

function diversionBody(diversion) {
  const longest = Math.max(diversion.main_s, diversion.alternative_s, 1);
  const saved = diversion.main_s - diversion.alternative_s;
  return [
    h("p", { class: "place" }, say("decide", { name: nameOf(diversion.decision) })),
    timeBar(say("main"), diversion.main_s, longest, "main"),
    timeBar(say("alternative"), diversion.alternative_s, longest, "alternative"),
    h(
      "p",
      { class: "saves" },
      h("b", {}, say("saves", { time: duration(saved) })),
      ` · ${say("share", { share: percent(diversion.share) })}`,
    ),
  ];
}

function viaOf(diversion) {
  const zh = currentLanguage() === "zh";
  const names = zh ? diversion.via : diversion.via_en;
  const known = names.length > 0 ? names : zh ? diversion.via_en : diversion.via;
  return say("via", { names: listed(known.slice(0, 3)) + (known.length > 3 ? "…" : "") });
}

function card(message, focused, onFocus) {
  const { jam, diversion } = message;
  const title = jam ? nameOf(jam.head) : viaOf(diversion);
  const reason = currentLanguage() === "zh" ? message.reason_zh : message.reason;
  const badge = jam
    ? h("span", { class: `level level-${jam.level}` }, say("levels")[jam.level - 1])
    : h("span", { class: "level way" }, say("diversion"));
  return h(
    "button",
    {
      type: "button",
      class: "advice",
      "data-kind": message.kind,
      "data-id": message.id,
      "aria-pressed": focused === message.id ? "true" : "false",
      onclick: () => onFocus(message.id),
    },
    h("span", { class: "advice-head" }, h("span", { class: "title" }, title), badge),
    ...(jam ? jamBody(jam) : diversionBody(diversion)),
    h("p", { class: "reason" }, reason),
    h(
      "p",
      { class: "quiet" },
      `${say("sure", { share: percent(message.confidence) })} · ${say("valid", {
        time: clock(message.valid_until_ms),
      })}`,
    ),
  );
}

/** The messages in a guidance collection: worst and longest jams first, each with its diversions. */
export function messagesOf(collection) {
  const messages = collection.features
    .map((feature) => feature.properties.guidance)
    .filter((message) => message !== undefined);
  const jams = messages.filter((message) => message.jam);
  jams.sort((a, b) => b.jam.level - a.jam.level || b.jam.length_m - a.jam.length_m);
  const rank = new Map(jams.map((message, index) => [message.id, index]));
  const key = (message) =>
    message.jam
      ? [rank.get(message.id), 0]
      : [rank.get(message.diversion.jam_id) ?? jams.length, 1];
  return messages.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x[0] - y[0] || x[1] - y[1];
  });
}

/** `messages` in the order of `messagesOf`, or null before the first view. */
export function showGuidance(messages, focused, onFocus) {
  const list = byId("guidance");
  setText("guidance-count", `${messages?.length ?? 0}`);
  const active = document.activeElement?.getAttribute("data-id");
  const scroll = list.scrollTop;
  const empty = h("p", { class: "quiet empty" }, say(messages ? "none" : "loading"));
  list.replaceChildren(
    ...(messages?.length > 0
      ? messages.map((message) => card(message, focused, onFocus))
      : [empty]),
  );
  list.scrollTop = scroll;
  if (active) list.querySelector(`[data-id="${CSS.escape(active)}"]`)?.focus();
}
