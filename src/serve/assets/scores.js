// How forecasts have done: errors beside the baselines, intervals, onsets, who speaks.

import { byId, h, setText } from "./dom.js";
import { percent, say } from "./text.js";

/** Rows in this order; who was not scored has none. */
const ROWS = ["published", "running", "shadow", "last_value", "profile", "profile_residual"];
const HORIZONS_MIN = [5, 15, 30, 60];
/** Errors this many times as high as expected are marked, as deploy/prometheus/alerts.yml does. */
const DRIFT_MARKED = 1.5;

function errorKmh(scores, minutes) {
  const figures = scores.horizons.find((horizon) => horizon.minutes === minutes);
  return figures ? (figures.mae_mps * 3.6).toFixed(1) : "–";
}

function table(byForecaster) {
  const head = HORIZONS_MIN.map((minutes) => h("th", { scope: "col" }, `${minutes}`));
  const rows = ROWS.filter((name) => byForecaster.has(name)).map((name) =>
    h(
      "tr",
      { "data-forecaster": name },
      h("th", { scope: "row" }, say("forecasters")[name]),
      ...HORIZONS_MIN.map((minutes) => h("td", {}, errorKmh(byForecaster.get(name), minutes))),
    ),
  );
  return h(
    "table",
    {},
    h("caption", { class: "quiet" }, say("errorAhead")),
    h("thead", {}, h("tr", {}, h("th", {}), ...head)),
    h("tbody", {}, ...rows),
  );
}

function intervals({ all }) {
  const places = { share: percent(all.coverage_90), jam: percent(all.coverage_90_congested ?? 0) };
  return say(all.coverage_90_congested === undefined ? "holds" : "holdsJam", places);
}

function onsets({ onsets }) {
  if (onsets.onsets === 0) return say("noOnsets");
  const hits = { share: percent(onsets.hits / onsets.onsets) };
  const lead = onsets.lead_min === undefined ? "" : say("lead", { minutes: Math.round(onsets.lead_min) });
  const share = onsets.alarms > 0 ? percent(onsets.false_alarms / onsets.alarms) : undefined;
  return say("announced", hits) + lead + (share ? say("falseAlarms", { share }) : "");
}

function voices(scores) {
  const others = scores.voices.filter((voice) => voice.forecaster !== "running");
  if (others.length === 0) return say("modelSpeaks");
  const names = [...new Set(others.map((voice) => say("forecasters")[voice.forecaster]))];
  return say("baselineSpeaks", { names: names.join(", "), classes: others.length });
}

function drift(scores) {
  const worst = Math.max(scores.drift_card ?? 0, scores.drift_long_run ?? 0);
  if (worst < DRIFT_MARKED) return undefined;
  return h("p", { class: "warning" }, say("drift", { factor: worst.toFixed(1) }));
}

/** `scores` as in `/api/v1/scores`, or null before there are any. */
export function showScores(scores) {
  const byForecaster = new Map(scores?.forecasters.map((entry) => [entry.forecaster, entry]));
  const published = byForecaster.get("published");
  const isKnown = published !== undefined && published.all.cells > 0;
  byId("scores").hidden = !isKnown;
  if (!isKnown) return;
  setText("scores-title", say("scores"));
  setText("scores-short", intervals(published));
  byId("scores-body").replaceChildren(
    ...[
      table(byForecaster),
      h("p", {}, onsets(published)),
      h("p", {}, voices(scores)),
      drift(scores),
      h("p", { class: "quiet" }, say("scoresSource")),
    ].filter((part) => part !== undefined),
  );
}
