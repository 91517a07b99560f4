// Incidents: the list above the guidance, and what the popup says of one.

import { byId, h, setText } from "./dom.js";
import { clock, duration, listed, metres, nameOf, percent, say } from "./text.js";

/** States in the order of the list. */
const STATES = ["confirmed", "suspected", "clearing"];
/** An operator may still say something of these. */
const UNDECIDED = ["suspected", "confirmed"];
const SYSTEMS = { gbt29100: "GB/T 29100", gb5768: "GB 5768", etsi: "ETSI TS 102 894-2" };

/** Open incidents of a GeoJSON collection: sure ones first, then the worst, then the oldest. */
export function incidentsOf(collection) {
  const incidents = collection.features.map((feature) => feature.properties.incident);
  const rank = ({ state }) => STATES.indexOf(state);
  return incidents.sort(
    (a, b) => rank(a) - rank(b) || b.severity - a.severity || a.since - b.since,
  );
}

function kindOf(incident) {
  return say("incidentKinds")[incident.kind] ?? incident.kind;
}

function stateOf(incident) {
  return say("incidentStates")[incident.state] ?? incident.state;
}

function sinceOf(incident) {
  return clock(incident.since * 1000);
}

function line(incident, opened, onOpen) {
  const [kind, road, since] = [kindOf(incident), nameOf(incident.place), sinceOf(incident)];
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        class: "incident-line",
        "data-incident": incident.id,
        "data-state": incident.state,
        "aria-pressed": opened === incident.id ? "true" : "false",
        "aria-label": say("incidentLine", { kind, road, since, state: stateOf(incident) }),
        onclick: () => onOpen(incident),
      },
      h("i", { class: "dot" }),
      h("b", {}, kind),
      h("span", { class: "road" }, road),
      h("time", {}, since),
    ),
  );
}

/** `incidents` in the order of `incidentsOf`; `opened` is the id of the one in the popup. */
export function showIncidents(incidents, opened, onOpen) {
  byId("incidents").hidden = incidents.length === 0;
  setText("incidents-title", say("incidents"));
  setText("incidents-count", `${incidents.length}`);
  const list = byId("incident-list");
  const active = document.activeElement?.getAttribute("data-incident");
  list.replaceChildren(...incidents.map((incident) => line(incident, opened, onOpen)));
  if (active) list.querySelector(`[data-incident="${CSS.escape(active)}"]`)?.focus();
}

/** A finding with its figures; counts that privacy leaves out are 0. */
function finding(entry) {
  const [kind, figures] = Object.entries(entry)[0];
  const share = (value) => (value === undefined ? undefined : percent(value));
  const words = say(`evidence_${kind}`, {
    time: duration(figures.longest_s ?? (figures.minutes ?? 0) * 60),
    distance: metres(figures.before_end_m ?? 0),
    lanes: figures.lanes,
    missing: Math.round(figures.missing ?? 0),
    share: share(figures.ratio),
    before: share(figures.before_ratio),
    usual: share(figures.usual_share),
  });
  const count = figures.count ? say("counted", { count: figures.count }) : "";
  return h("li", { "data-evidence": kind }, (words ?? kind) + count);
}

/** A candidate for the cause, and what it rests on. */
function candidate({ cause, evidence = [], told, usual_ratio }) {
  const grounds = evidence.map((kind) => say("evidenceNames")[kind] ?? kind);
  if (told) {
    const system = SYSTEMS[told.system] ?? say("makersCode");
    const distance = metres(told.distance_m);
    grounds.push(say("told", { ...told, system, distance }));
  }
  if (typeof usual_ratio === "number") grounds.push(say("usually", { share: percent(usual_ratio) }));
  return h(
    "li",
    { "data-cause": cause },
    h("b", {}, say("causeNames")[cause] ?? cause),
    h("span", { class: "quiet" }, listed(grounds)),
  );
}

function part(title, items, kind) {
  if (items.length === 0) return undefined;
  return h("section", { class: kind }, h("h4", { class: "quiet" }, say(title)), h("ul", {}, ...items));
}

function verdicts(incident, onVerdict) {
  if (!UNDECIDED.includes(incident.state)) return undefined;
  const button = (verdict) =>
    h(
      "button",
      {
        type: "button",
        class: verdict,
        title: say(`${verdict}Title`),
        "aria-label": `${say(verdict)}: ${kindOf(incident)}, ${nameOf(incident.place)}`,
        onclick: () => onVerdict(verdict),
      },
      say(verdict),
    );
  return h("div", { class: "verdicts" }, button("confirm"), button("dismiss"));
}

function row(label, value) {
  return h("div", {}, h("dt", {}, label), h("dd", {}, value));
}

/** What has become of a verdict, in words: `note` is a key of a phrase and why it was refused. */
export function noteWords(note) {
  if (!note) return "";
  const { status, reason } = note;
  return say(note.key, { reason: reason || say("refusals")[status] || `HTTP ${status}` });
}

/** `incident` is its message, `note` as in `noteWords`; `onVerdict` gets `confirm` or `dismiss`. */
export function incidentContent(incident, note, onVerdict, onClose) {
  const blocked = incident.lanes_blocked || say("unknown");
  return h(
    "div",
    { class: "segment incident", "data-state": incident.state },
    h(
      "div",
      { class: "segment-head" },
      h("div", {}, h("h3", {}, kindOf(incident)), h("p", { class: "quiet" }, nameOf(incident.place))),
      h("span", { class: "level state" }, stateOf(incident)),
      h("button", { type: "button", class: "close", "aria-label": say("close"), onclick: onClose }, "×"),
    ),
    h(
      "dl",
      { class: "facts" },
      row(say("since"), sinceOf(incident)),
      row(say("severity"), `${incident.severity} · ${say("severities")[incident.severity - 1]}`),
      row(say("confidence"), percent(incident.confidence)),
      row(say("lanesBlocked"), say("lanesOf", { blocked, lanes: incident.lanes })),
      row(say("queue"), metres(incident.queue_m)),
    ),
    h("p", { class: "place" }, say("tail", { name: nameOf(incident.tail) })),
    part("evidence", incident.evidence.map(finding), "evidence"),
    part("causes", incident.causes.map(candidate), "causes"),
    verdicts(incident, onVerdict),
    h("p", { class: "note", id: "verdict-note", role: "status" }, noteWords(note)),
    h("p", { class: "quiet id" }, `${incident.source_id} · #${incident.segment} · ${incident.id}`),
  );
}
