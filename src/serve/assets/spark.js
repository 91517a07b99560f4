// A small chart of a segment's next hour: the band from p10 to p90, the median, free flow.

import { svg } from "./dom.js";
import { clock } from "./text.js";

const WIDTH = 280;
const HEIGHT = 96;
const LEFT = 26;
const BOTTOM = 16;

/** `forecast` as in `/api/v1/segments/{id}`; `nowMps` and `freeFlowMps` may be undefined. */
export function sparkline(forecast, nowMps, freeFlowMps) {
  const kmh = (values) => values.map((value) => value * 3.6);
  const [p10, p50, p90] = [forecast.p10_mps, forecast.p50_mps, forecast.p90_mps].map(kmh);
  const top = Math.max(20, ...p90, (nowMps ?? 0) * 3.6, (freeFlowMps ?? 0) * 3.6);
  const ceiling = Math.ceil(top / 20) * 20;
  const x = (index) => LEFT + ((WIDTH - LEFT - 6) * index) / p50.length;
  const y = (value) => 6 + (HEIGHT - BOTTOM - 6) * (1 - value / ceiling);
  const point = (value, index) => `${x(index + 0.5).toFixed(1)},${y(value).toFixed(1)}`;
  const upper = p90.map(point);
  const lower = p10.map(point).reverse();
  const chart = svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-hidden": "true" },
  );
  for (let line = 0; line <= ceiling; line += ceiling / 2) {
    chart.append(
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 6, y1: y(line), y2: y(line) }),
      svg("text", { class: "tick", x: LEFT - 5, y: y(line) + 3, "text-anchor": "end" }, `${line}`),
    );
  }
  if (freeFlowMps) {
    const level = y(freeFlowMps * 3.6);
    chart.append(svg("line", { class: "free", x1: LEFT, x2: WIDTH - 6, y1: level, y2: level }));
  }
  chart.append(
    svg("polygon", { class: "band", points: [...upper, ...lower].join(" ") }),
    svg("polyline", { class: "median", points: p50.map(point).join(" ") }),
  );
  if (nowMps !== undefined) {
    chart.append(svg("circle", { class: "dot", cx: x(0), cy: y(nowMps * 3.6), r: 3.5 }));
  }
  for (const index of [0, 4, 8, 12]) {
    const at = forecast.first_step_ms + index * forecast.step_s * 1000;
    const anchor = index === 0 ? "start" : index === 12 ? "end" : "middle";
    chart.append(
      svg("text", { class: "tick", x: x(index), y: HEIGHT - 3, "text-anchor": anchor }, clock(at)),
    );
  }
  return chart;
}
