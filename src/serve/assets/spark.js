// A small chart of a segment's next hour, and of the two hours after it where they are known: the
// band from p10 to p90, the median, free flow.

import { svg } from "./dom.js";
import { clock } from "./text.js";

const WIDTH = 280;
const HEIGHT = 96;
const LEFT = 26;
const BOTTOM = 16;

/** Quantiles in km/h at the middles of their steps, which begin at `startMs`. */
function pointsOf({ p10_mps, p50_mps, p90_mps, step_s }, startMs) {
  return p50_mps.map((median, index) => ({
    atMs: startMs + (index + 0.5) * step_s * 1000,
    low: p10_mps[index] * 3.6,
    median: median * 3.6,
    high: p90_mps[index] * 3.6,
  }));
}

/** `forecast` and `outlook` as in `/api/v1/segments/{id}`; all but `forecast` may be undefined. */
export function sparkline(forecast, outlook, nowMps, freeFlowMps) {
  const startMs = forecast.first_step_ms;
  const hour = pointsOf(forecast, startMs);
  const later = outlook ? pointsOf(outlook, outlook.start_ms) : [];
  const all = [...hour, ...later];
  const endMs = startMs + (outlook ? 3 : 1) * 3600 * 1000;
  const top = Math.max(20, ...all.map(({ high }) => high), (nowMps ?? 0) * 3.6, (freeFlowMps ?? 0) * 3.6);
  const ceiling = Math.ceil(top / 20) * 20;
  const x = (atMs) => LEFT + ((WIDTH - LEFT - 6) * (atMs - startMs)) / (endMs - startMs);
  const y = (value) => 6 + (HEIGHT - BOTTOM - 6) * (1 - value / ceiling);
  const line = (points, key) =>
    points.map((point) => `${x(point.atMs).toFixed(1)},${y(point[key]).toFixed(1)}`);
  const chart = svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-hidden": "true" },
  );
  for (let level = 0; level <= ceiling; level += ceiling / 2) {
    chart.append(
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 6, y1: y(level), y2: y(level) }),
      svg("text", { class: "tick", x: LEFT - 5, y: y(level) + 3, "text-anchor": "end" }, `${level}`),
    );
  }
  if (freeFlowMps) {
    const level = y(freeFlowMps * 3.6);
    chart.append(svg("line", { class: "free", x1: LEFT, x2: WIDTH - 6, y1: level, y2: level }));
  }
  const band = [...line(all, "high"), ...line(all, "low").reverse()];
  chart.append(
    svg("polygon", { class: "band", points: band.join(" ") }),
    svg("polyline", { class: "median", points: line(hour, "median").join(" ") }),
  );
  if (later.length > 0) {
    const joined = [hour[hour.length - 1], ...later];
    chart.append(svg("polyline", { class: "median later", points: line(joined, "median").join(" ") }));
  }
  if (nowMps !== undefined) {
    chart.append(svg("circle", { class: "dot", cx: x(startMs), cy: y(nowMps * 3.6), r: 3.5 }));
  }
  for (const third of [0, 1, 2, 3]) {
    const atMs = startMs + (third * (endMs - startMs)) / 3;
    const anchor = third === 0 ? "start" : third === 3 ? "end" : "middle";
    chart.append(
      svg("text", { class: "tick", x: x(atMs), y: HEIGHT - 3, "text-anchor": anchor }, clock(atMs)),
    );
  }
  return chart;
}
