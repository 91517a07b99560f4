// The page: joins map, lists and timeline, and keeps time.

import { follow, getSegment, sendVerdict } from "./api.js";
import { LEVEL_COLOURS } from "./colours.js";
import { byId, h, setText } from "./dom.js";
import { incidentContent, incidentsOf, noteWords, showIncidents } from "./incident.js";
import { MapView } from "./mapview.js";
import { messagesOf, showGuidance } from "./panel.js";
import { popupContent } from "./popup.js";
import { showScores } from "./scores.js";
import {
  clock,
  currentLanguage,
  day,
  duration,
  nameOf,
  say,
  setLanguage,
  setUtcOffset,
  startLanguage,
} from "./text.js";
import { Timeline, sharesOf } from "./timeline.js";

/** Data older than this many seconds of event time turn amber, then red. */
const AGE_AMBER_S = 180;
const AGE_RED_S = 300;
/** Longest stretch the clock runs on by itself between polls. */
const SILENT_MS_MAX = 3_000;

const page = {
  status: null,
  statusAt: 0,
  lost: false,
  minute: null,
  messages: null,
  incidents: [],
  focused: null,
  picked: null,
  theme: localStorage.getItem("theme") === "light" ? "light" : "dark",
};

startLanguage();
document.documentElement.dataset.theme = page.theme;
const view = new MapView("map", page.theme, currentLanguage(), pick, openIncident);
const timeline = new Timeline(showStep);

/** Levels shown now: of the state, or of a forecast step. */
function levelsShown() {
  const { state, forecast } = page.minute;
  return timeline.step > 0 && forecast ? forecast.level[timeline.step - 1] : state.level;
}

function showStep() {
  if (!page.minute) return;
  const levels = levelsShown();
  view.setLevels(levels, timeline.step === 0 ? page.minute.state.provenance : null);
  view.setTime(timeline.startMs(page.minute));
  timeline.show(page.minute, sharesOf(levels, view.segments));
}

async function pick(id, at) {
  const properties = view.segments[id]?.properties;
  if (!properties) return;
  page.picked = { id, at };
  view.select(id);
  const detail = await getSegment(id).catch(() => ({}));
  if (page.picked?.id !== id) return;
  const content = popupContent(properties, detail, () => view.closePopup());
  view.openPopup(at, content, () => {
    page.picked = null;
  });
  view.select(id);
  page.picked = { id, at };
}

async function refreshPopup() {
  const { picked } = page;
  if (!picked || !view.popup) return;
  if (picked.incident) {
    refreshIncident(picked);
    return;
  }
  const detail = await getSegment(picked.id).catch(() => null);
  if (!detail || page.picked !== picked || !view.popup) return;
  const properties = view.segments[picked.id].properties;
  view.updatePopup(popupContent(properties, detail, () => view.closePopup()));
}

/** `picked` is `{ incident }` with its id and, once an operator has spoken, a `note`. */
function contentOf(incident, picked) {
  const onVerdict = (verdict) => tellVerdict(picked, verdict);
  return incidentContent(incident, picked.note, onVerdict, () => view.closePopup());
}

function listIncidents() {
  showIncidents(page.incidents, page.picked?.incident, chooseIncident);
}

function openIncident(id) {
  const incident = page.incidents.find((open) => open.id === id);
  if (!incident) return;
  const picked = { incident: id };
  const { lon_deg, lat_deg } = incident.place;
  view.openPopup([lon_deg, lat_deg], contentOf(incident, picked), () => {
    page.picked = null;
    listIncidents();
  });
  view.select(incident.segment);
  page.picked = picked;
  listIncidents();
}

/** From the list: the one that is open is closed. */
function chooseIncident(incident) {
  if (page.picked?.incident === incident.id) {
    view.closePopup();
    return;
  }
  view.focusIncident(incident);
  openIncident(incident.id);
}

/** A popup closes with its incident; a note on a verdict goes with the next change. */
function refreshIncident(picked) {
  const incident = page.incidents.find((open) => open.id === picked.incident);
  if (!incident) {
    view.closePopup();
    return;
  }
  if (picked.note?.revision !== incident.revision) picked.note = null;
  view.updatePopup(contentOf(incident, picked));
}

async function tellVerdict(picked, verdict) {
  if (picked.note?.key === "verdictSending") return;
  const { revision } = page.incidents.find((open) => open.id === picked.incident);
  const note = (about) => {
    picked.note = { ...about, revision };
    if (page.picked !== picked) return;
    setText("verdict-note", noteWords(picked.note));
    view.uncover();
  };
  note({ key: "verdictSending" });
  const refusal = await sendVerdict(picked.incident, verdict);
  note(refusal ? { key: "verdictRefused", ...refusal } : { key: "verdictSent" });
}

function focusGuidance(id) {
  page.focused = page.focused === id ? null : id;
  view.focus(page.focused);
  showGuidance(page.messages, page.focused, focusGuidance);
}

function showAge() {
  const chip = byId("age");
  const { status } = page;
  const silentMs = Math.min(performance.now() - page.statusAt, SILENT_MS_MAX);
  let state = "waiting";
  let words = say("ageWaiting");
  if (page.lost) {
    state = "dead";
    words = say("ageLost");
  } else if (status && status.state_end_ms !== null) {
    const nowMs = status.event_time_ms + (status.age_ms + silentMs) * (status.speedup || 1);
    const age = Math.max(0, (nowMs - status.state_end_ms) / 1000);
    state = age > AGE_RED_S ? "dead" : age > AGE_AMBER_S ? "stale" : "fresh";
    const key = { fresh: "ageFresh", stale: "ageStale", dead: "ageDead" }[state];
    words = say(key, { age: duration(Math.round(age)) });
    setText("clock", clock(nowMs, true));
    setText("date", day(nowMs));
  }
  if (chip.dataset.state !== state) chip.dataset.state = state;
  setText("age", words);
}

function showStatus() {
  const { status } = page;
  if (!status) return;
  const city = nameOf({ name: status.city, name_en: status.city_en });
  setText("city", status.city || status.city_en ? city : `v${status.version}`);
  const { index } = status;
  byId("index").hidden = !index;
  if (index) {
    const figure = index.tpi === null ? `TTI ${index.tti.toFixed(2)}` : `TPI ${index.tpi.toFixed(1)}`;
    byId("index").title = `${say("index")}, ${index.region}: ${index.standard}`;
    setText("index", figure);
  }
  const model = byId("model");
  model.hidden = !status.model;
  model.dataset.fallback = String(status.fallback);
  setText("model", `${say("model")}: ${status.model}${status.fallback ? ` (${say("fallback")})` : ""}`);
}

function showWords() {
  setText("guidance-title", say("guidance"));
  setText("legend-title", say("legend"));
  byId("legend-title").title = say("legendSource");
  byId("levels").replaceChildren(
    ...LEVEL_COLOURS.map((_, index) =>
      h(
        "li",
        {},
        h("i", { class: `swatch level-${index + 1}` }),
        h("span", {}, say("levels")[index]),
        h("span", { class: "quiet" }, say("ratios")[index]),
      ),
    ),
  );
  const signs = {
    incident: "signIncident",
    jam: "signJam",
    alternative: "signAlternative",
    main: "signMain",
    dim: "signProfile",
  };
  byId("signs").replaceChildren(
    ...Object.entries(signs).map(([sign, key]) =>
      h("li", {}, h("i", { class: `swatch sign-${sign}` }), h("span", {}, say(key))),
    ),
  );
  const language = byId("language");
  language.textContent = say("language");
  language.title = say("languageTitle");
  const theme = byId("theme");
  theme.textContent = say(page.theme === "dark" ? "themeDark" : "themeLight");
  theme.title = say("themeTitle");
  for (const [id, key] of [["zoom-in", "zoomIn"], ["zoom-out", "zoomOut"], ["zoom-fit", "zoomFit"]]) {
    byId(id).title = say(key);
    byId(id).setAttribute("aria-label", say(key));
  }
  view.map.getCanvas().setAttribute("aria-label", say("map"));
  timeline.words();
  listIncidents();
  showGuidance(page.messages, page.focused, focusGuidance);
  showScores(page.minute?.scores ?? null);
  showStatus();
  showAge();
  showStep();
}

async function restyle() {
  await view.ready;
  view.restyle(page.theme, currentLanguage());
}

byId("language").addEventListener("click", () => {
  setLanguage(currentLanguage() === "zh" ? "en" : "zh");
  const url = new URL(location.href);
  url.searchParams.set("lang", currentLanguage());
  history.replaceState(null, "", url);
  restyle();
  showWords();
  refreshPopup();
});
byId("theme").addEventListener("click", () => {
  page.theme = page.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", page.theme);
  document.documentElement.dataset.theme = page.theme;
  restyle();
  showWords();
});
byId("zoom-in").addEventListener("click", () => view.map.zoomIn());
byId("zoom-out").addEventListener("click", () => view.map.zoomOut());
byId("zoom-fit").addEventListener("click", () => view.fitAll());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") view.closePopup();
});

showWords();
setInterval(showAge, 500);
follow({
  status(status) {
    page.status = status;
    page.statusAt = performance.now();
    page.lost = false;
    setUtcOffset(status.utc_offset_s);
    showStatus();
    showAge();
  },
  lost() {
    page.lost = true;
    showAge();
  },
  network: (collection) => view.setNetwork(collection),
  minute(minute) {
    page.minute = minute;
    page.messages = messagesOf(minute.guidance);
    page.incidents = incidentsOf(minute.incidents);
    view.setGuidance(page.messages);
    view.setIncidents(minute.incidents);
    listIncidents();
    showGuidance(page.messages, page.focused, focusGuidance);
    showScores(minute.scores);
    showStep();
    refreshPopup();
  },
});

// For operators' consoles and the browser test: the map and what it shows.
globalThis.roadcast = { view, timeline, page };
