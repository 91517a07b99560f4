// The map: draws segments by level, guidance and names; says which segment was picked.

import { Map as MapLibre, Popup } from "./vendor/maplibre-gl.mjs";

import { THEMES } from "./colours.js";
import { buildStyle } from "./layers.js";
import { boundsOf, guidanceFeatures, guidancePlaces, nameLines } from "./roads.js";

const PICK_PX = 6;
/** With more diversions than this, the usual way and decision point are drawn of the chosen only. */
const WAYS_MAX = 3;

export class MapView {
  /** `onPick(id, [lon, lat])` is called with the segment under a click or Enter. */
  constructor(container, theme, language, onPick) {
    this.onPick = onPick;
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
      this.map.getCanvas().classList.toggle("over", Boolean(this.segmentAt(event.point)));
    });
    this.map.getCanvas().addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      const centre = this.map.getCenter();
      this.pickAt(this.map.project(centre), centre.toArray(), 60);
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

  segmentAt(point, reach = PICK_PX) {
    if (!this.network || !this.map.getLayer("raised")) return undefined;
    const box = [
      [point.x - reach, point.y - reach],
      [point.x + reach, point.y + reach],
    ];
    const found = this.map.queryRenderedFeatures(box, { layers: ["raised", "ground"] });
    found.sort((a, b) => a.properties.rank - b.properties.rank);
    return found[0];
  }

  pickAt(point, at, reach = PICK_PX) {
    const feature = this.segmentAt(point, reach);
    if (feature) this.onPick(feature.id, at);
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

  select(id) {
    this.map.setFilter("selected", ["==", ["get", "id"], id]);
  }

  openPopup(at, content, onClose) {
    this.closePopup();
    this.popup = new Popup({ maxWidth: "340px", closeButton: false, focusAfterOpen: true })
      .setLngLat(at)
      .setDOMContent(content)
      .addTo(this.map);
    this.popup.on("close", () => {
      this.select(-1);
      onClose();
    });
  }

  closePopup() {
    this.popup?.remove();
    this.popup = null;
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
