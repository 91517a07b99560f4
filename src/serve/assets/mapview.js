// The map: draws segments by level, guidance, incidents and names; says which one was picked.

import { Map as MapLibre, Popup } from "./vendor/maplibre-gl.mjs";

import { THEMES } from "./colours.js";
import { buildStyle } from "./layers.js";
import { boundsOf, guidanceFeatures, guidancePlaces, nameLines } from "./roads.js";

const PICK_PX = 6;
/** How far from the middle Enter looks for a road; an incident hides roads beside it no farther. */
const ENTER_PX = 60;
const INCIDENT_PX = 20;
/** So far from its place, a popup leaves the circle of an incident to be seen. */
const POPUP_OFF_PX = 8;
/** With more diversions than this, the usual way and decision point are drawn of the chosen only. */
const WAYS_MAX = 3;

export class MapView {
  /**
   * What is under a click or Enter: `onIncident(id)` is called with an incident, which lies above,
   * else `onPick(id, [lon, lat])` with the segment.
   */
  constructor(container, theme, language, onPick, onIncident) {
    this.onPick = onPick;
    this.onIncident = onIncident;
    this.levels = [];
    this.provenances = [];
    this.segments = [];
    this.bounds = null;
    this.network = null;
    this.guidance = null;
    this.incidents = null;
    this.focused = null;
    this.areWaysFew = true;
    this.timeMs = 0;
    this.popup = null;
    this.content = null;
    this.map = new MapLibre({
      container,
      style: buildStyle(THEMES[theme], language),
      center: [114.3, 30.6],
      zoom: 11,
      attributionControl: false,
      maxPitch: 0,
      dragRotate: false,
      fadeDuration: 0,
    });
    this.map.touchZoomRotate.disableRotation();
    this.ready = new Promise((resolve) => this.map.once("load", resolve));
    this.ready.then(() => this.addArrow());
    this.map.on("click", (event) => this.pickAt(event.point, event.lngLat.toArray()));
    this.map.on("mousemove", (event) => {
      const under = this.incidentAt(event.point) ?? this.segmentAt(event.point);
      this.map.getCanvas().classList.toggle("over", Boolean(under));
    });
    this.map.getCanvas().addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      // Else the same key presses the button of the popup that gets the focus.
      event.preventDefault();
      const centre = this.map.getCenter();
      this.pickAt(this.map.project(centre), centre.toArray(), ENTER_PX);
    });
  }

  /** The arrow on recommended ways, drawn here so that no image is fetched. */
  addArrow() {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 24;
    const pen = canvas.getContext("2d");
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = 5;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(8, 4);
    pen.lineTo(16, 12);
    pen.lineTo(8, 20);
    pen.stroke();
    this.map.addImage("arrow", pen.getImageData(0, 0, 24, 24), { pixelRatio: 1 });
  }

  /** What `layers` draw around a point of the screen. */
  drawnAt(point, reach, layers) {
    if (!this.network || !this.map.getLayer("raised")) return [];
    const box = [
      [point.x - reach, point.y - reach],
      [point.x + reach, point.y + reach],
    ];
    return this.map.queryRenderedFeatures(box, { layers });
  }

  segmentAt(point, reach = PICK_PX) {
    const found = this.drawnAt(point, reach, ["raised", "ground"]);
    found.sort((a, b) => a.properties.rank - b.properties.rank);
    return found[0];
  }

  /** The nearest one. */
  incidentAt(point, reach = PICK_PX) {
    const found = this.drawnAt(point, reach, ["incidents"]);
    const far = ({ geometry }) => this.map.project(geometry.coordinates).dist(point);
    found.sort((a, b) => far(a) - far(b));
    return found[0];
  }

  pickAt(point, at, reach = PICK_PX) {
    const incident = this.incidentAt(point, Math.min(reach, INCIDENT_PX));
    const segment = incident ? undefined : this.segmentAt(point, reach);
    if (incident) this.onIncident(incident.properties.id);
    else if (segment) this.onPick(segment.id, at);
    else this.closePopup();
  }

  async setNetwork(collection) {
    await this.ready;
    this.network = collection;
    this.levels = [];
    this.provenances = [];
    this.segments = [];
    for (const feature of collection.features) {
      if (feature.properties.kind === "segment") this.segments[feature.id] = feature;
    }
    this.bounds = boundsOf(this.segments.flatMap((feature) => feature.geometry.coordinates));
    this.map.removeFeatureState({ source: "network" });
    this.map.getSource("network").setData(collection);
    this.map.getSource("names").setData(nameLines(this.segments));
    this.fit(this.bounds, 0);
  }

  /** Room left of what lies over the map. */
  padding() {
    return innerWidth > 820
      ? { top: 96, bottom: 130, left: 40, right: 390 }
      : { top: 110, bottom: 40, left: 20, right: 20 };
  }

  fit(bounds, duration = 700) {
    if (bounds) this.map.fitBounds(bounds, { padding: this.padding(), duration, maxZoom: 15 });
  }

  fitAll() {
    this.fit(this.bounds);
  }

  /** Colours every segment: strings of digits, one a segment. Only what changed is sent on. */
  setLevels(levels, provenances) {
    const { map } = this;
    for (let id = 0; id < levels.length; id += 1) {
      const level = levels.charCodeAt(id) - 48;
      const provenance = provenances ? provenances.charCodeAt(id) - 48 : 1;
      if (this.levels[id] === level && this.provenances[id] === provenance) continue;
      this.levels[id] = level;
      this.provenances[id] = provenance;
      map.setFeatureState({ source: "network", id }, { level, provenance });
    }
  }

  /** Draws guidance messages. */
  setGuidance(messages) {
    this.guidance = guidanceFeatures(messages, this.segments);
    this.areWaysFew = messages.filter(({ diversion }) => diversion).length <= WAYS_MAX;
    this.map.getSource("guidance").setData(this.guidance);
    this.map.getSource("places").setData(guidancePlaces(messages));
    this.filterGuidance();
  }

  /** Draws open incidents. */
  setIncidents(collection) {
    this.incidents = collection;
    this.map.getSource("incidents").setData(collection);
  }

  /** Shows only jams that are not forecast to have ended by `ms`, event time. */
  setTime(ms) {
    this.timeMs = ms;
    this.filterGuidance();
  }

  filterGuidance() {
    const role = (name) => ["==", ["get", "role"], name];
    const lasts = [">", ["get", "until_ms"], this.timeMs];
    const chosen = this.areWaysFew ? true : ["==", ["get", "id"], this.focused ?? ""];
    this.map.setFilter("jam-glow", ["all", role("jam"), lasts]);
    this.map.setFilter("main-way", ["all", role("main"), chosen]);
    this.map.setFilter("places", ["case", role("decision"), chosen, lasts]);
  }

  /** Brings one piece of guidance to the fore, or none with `null`. */
  focus(id) {
    this.focused = id;
    this.filterGuidance();
    const only = ["==", ["get", "id"], id ?? ""];
    this.map.setPaintProperty("alternative-glow", "line-opacity", ["case", only, 0.9, 0.3]);
    this.map.setPaintProperty("jam-glow", "line-opacity", ["case", only, 1, 0.75]);
    if (id === null) return;
    const drawn = this.guidance.features.filter((feature) => feature.properties.id === id);
    this.fit(boundsOf(drawn.flatMap((feature) => feature.geometry.coordinates)));
  }

  /** Brings an incident and its queue to the fore. */
  focusIncident({ place, tail }) {
    this.fit(boundsOf([place, tail].map(({ lon_deg, lat_deg }) => [lon_deg, lat_deg])));
  }

  select(id) {
    this.map.setFilter("selected", ["==", ["get", "id"], id]);
  }

  openPopup(at, content, onClose) {
    this.closePopup();
    this.content = content;
    // `pickAt` closes it; by itself it would close after the next pick has begun.
    const options = { maxWidth: "340px", closeButton: false, closeOnClick: false };
    this.popup = new Popup({ ...options, offset: POPUP_OFF_PX })
      .setLngLat(at)
      .setDOMContent(content)
      .addTo(this.map);
    this.popup.on("close", () => {
      this.select(-1);
      onClose();
    });
    this.uncover();
  }

  /** Says something else in the popup, if it is. A button that has the focus keeps it. */
  updatePopup(content) {
    const { content: old } = this;
    if (old.isEqualNode(content)) return;
    const held = [...old.querySelectorAll("button")].indexOf(document.activeElement);
    const { scrollTop } = old;
    old.replaceWith(content);
    this.content = content;
    content.scrollTop = scrollTop;
    const buttons = content.querySelectorAll("button");
    if (held >= 0) (buttons[held] ?? buttons[0]).focus();
  }

  /** What the cards cover at the edges of the map, the legend and the zoom buttons with them. */
  margins() {
    if (innerWidth <= 820) return { top: 150, bottom: 10, left: 8, right: 56 };
    return { top: 86, bottom: 126, left: innerWidth > 1180 ? 258 : 14, right: 436 };
  }

  /** Moves the map, once it stands still, so that no card lies over the popup. */
  uncover() {
    if (!this.popup?.isOpen()) return;
    if (this.map.isMoving()) {
      this.map.once("moveend", () => this.uncover());
      return;
    }
    const { top, right, bottom, left } = this.popup.getElement().getBoundingClientRect();
    const { clientWidth, clientHeight } = this.map.getContainer();
    const margin = this.margins();
    const past = (low, high, from, to) => Math.min(0, low - from) || Math.max(0, high - to);
    const x = past(left, right, margin.left, clientWidth - margin.right);
    const y = past(top, bottom, margin.top, clientHeight - margin.bottom);
    if (x !== 0 || y !== 0) this.map.panBy([x, y]);
  }

  /** The focus goes back to the map if it was in the popup. */
  closePopup() {
    const isHeld = this.content?.contains(document.activeElement);
    this.popup?.remove();
    this.popup = null;
    if (isHeld) this.map.getCanvas().focus();
  }

  /** Redraws in another theme or language; data and levels stay. */
  restyle(theme, language) {
    for (const { id, paint, layout } of buildStyle(THEMES[theme], language).layers) {
      for (const [name, value] of Object.entries(paint ?? {})) {
        this.map.setPaintProperty(id, name, value);
      }
      if (layout?.["text-field"]) this.map.setLayoutProperty(id, "text-field", layout["text-field"]);
    }
  }
}
