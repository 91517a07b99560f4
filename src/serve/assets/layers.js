// The style of the map: no tiles, no glyph server, only this server's GeoJSON.

import { LEVEL_COLOURS } from "./colours.js";

/** Families for labels; drawn on this machine, since the style names no glyph server. */
const FONTS = ["Noto Sans CJK SC, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif"];

/** Line widths in pixels by road rank (0 motorway to 7 service) at zooms 9, 12, 14 and 18. */
const WIDTHS = [
  [9, [1.6, 1.5, 1.2, 0.9, 0.6, 0.5, 0.4, 0.3]],
  [12, [3.4, 3.1, 2.6, 2.0, 1.5, 1.2, 1.0, 0.8]],
  [14, [6.0, 5.6, 4.8, 3.8, 2.9, 2.3, 2.0, 1.5]],
  [18, [24, 22, 20, 16, 13, 11, 10, 8]],
];

function byRank(values, scale) {
  const match = ["match", ["get", "rank"]];
  values.forEach((value, rank) => match.push(rank, value));
  match.push(values[values.length - 1]);
  const slim = ["case", ["to-boolean", ["get", "link"]], 0.7 * scale, scale];
  return ["*", slim, match];
}

/** Width as a function of zoom, times `scale`, plus `extra` pixels. */
function width(scale = 1, extra = 0) {
  const stops = WIDTHS.flatMap(([zoom, values]) => [zoom, ["+", byRank(values, scale), extra]]);
  return ["interpolate", ["exponential", 1.5], ["zoom"], ...stops];
}

/** Two-way roads are drawn as two lines, each on its right. */
function offset() {
  const stops = WIDTHS.flatMap(([zoom, values]) => [
    zoom,
    ["case", ["to-boolean", ["get", "two_way"]], byRank(values, 0.58), 0],
  ]);
  return ["interpolate", ["exponential", 1.5], ["zoom"], ...stops];
}

function levelColour(unknown) {
  const level = ["coalesce", ["feature-state", "level"], 0];
  return ["match", level, ...LEVEL_COLOURS.flatMap((colour, index) => [index + 1, colour]), unknown];
}

const SEGMENT = ["==", ["get", "kind"], "segment"];
const RAISED = ["any", ["to-boolean", ["get", "bridge"]], [">", ["get", "layer"], 0]];
const SORT = ["-", ["*", 10, ["get", "layer"]], ["get", "rank"]];
const ROUND = { "line-cap": "round", "line-join": "round" };

function roadLayers(name, filter, colours) {
  const layout = { ...ROUND, "line-sort-key": SORT };
  return [
    {
      id: `${name}-casing`,
      type: "line",
      source: "network",
      filter,
      layout,
      paint: {
        "line-color": colours.casing,
        "line-width": width(1, name === "raised" ? 3 : 1.6),
        "line-offset": offset(),
        "line-opacity": 0.9,
      },
    },
    {
      id: name,
      type: "line",
      source: "network",
      filter,
      layout,
      paint: {
        "line-color": levelColour(colours.unknown),
        "line-width": width(),
        "line-offset": offset(),
        "line-opacity": ["case", ["==", ["feature-state", "provenance"], 2], 0.45, 1],
      },
    },
  ];
}

/** Guidance lies on its segments: same width, same side of the road. */
function guidanceLine(id, role, paint) {
  return {
    id,
    type: "line",
    source: "guidance",
    filter: ["==", ["get", "role"], role],
    layout: ROUND,
    paint: { "line-offset": offset(), ...paint },
  };
}

function guidanceLayers(colours) {
  return [
    guidanceLine("main-way", "main", {
      "line-color": colours.main,
      "line-width": ["interpolate", ["linear"], ["zoom"], 10, 1.2, 15, 2.4],
      "line-gap-width": width(1, 1),
      "line-dasharray": [1.5, 2],
    }),
    guidanceLine("alternative-glow", "alternative", {
      "line-color": colours.alternative,
      "line-width": width(1, 13),
      "line-blur": 7,
      "line-opacity": 0.4,
    }),
    guidanceLine("alternative-way", "alternative", {
      "line-color": colours.alternative,
      "line-width": width(1, 2),
    }),
    {
      id: "alternative-arrows",
      type: "symbol",
      source: "guidance",
      filter: ["==", ["get", "role"], "arrows"],
      layout: {
        "symbol-placement": "line",
        "symbol-spacing": 46,
        "icon-image": "arrow",
        "icon-size": ["interpolate", ["linear"], ["zoom"], 10, 0.42, 15, 0.7],
        "icon-allow-overlap": true,
        "icon-ignore-placement": true,
        "icon-offset": [0, 4],
      },
    },
    {
      id: "places",
      type: "circle",
      source: "places",
      paint: {
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 11, 2.5, 13, 5, 16, 8],
        "circle-color": [
          "match",
          ["get", "role"],
          "decision",
          colours.alternative,
          "head",
          colours.jam,
          colours.land,
        ],
        "circle-stroke-color": ["match", ["get", "role"], "tail", colours.jam, colours.selected],
        "circle-stroke-width": ["interpolate", ["linear"], ["zoom"], 11, 1.2, 14, 2.5],
      },
    },
  ];
}

function labelLayer(colours, language) {
  return {
    id: "names",
    type: "symbol",
    source: "names",
    filter: ["<=", ["get", "rank"], ["step", ["zoom"], 2, 12.7, 3, 13.6, 4, 14.5, 9]],
    layout: {
      "symbol-placement": "line",
      "symbol-spacing": 480,
      "symbol-sort-key": ["get", "rank"],
      "text-field": ["get", language === "zh" ? "name" : "name_en"],
      "text-font": FONTS,
      "text-size": ["interpolate", ["linear"], ["zoom"], 11, 11.5, 16, 15],
      "text-padding": 22,
      "text-max-angle": 30,
    },
    paint: {
      "text-color": colours.label,
      "text-halo-color": colours.labelHalo,
      "text-halo-width": 1.8,
    },
  };
}

/** Open incidents: full when confirmed, a ring while suspected or clearing. */
function incidentLayer(colours) {
  return {
    id: "incidents",
    type: "circle",
    source: "incidents",
    paint: {
      "circle-radius": 7,
      "circle-color": colours.jam,
      "circle-opacity": ["case", ["==", ["get", "state"], "confirmed"], 0.9, 0.15],
      "circle-stroke-color": colours.jam,
      "circle-stroke-width": 2,
    },
  };
}

const EMPTY = { type: "FeatureCollection", features: [] };

export function buildStyle(colours, language) {
  return {
    version: 8,
    sources: {
      network: { type: "geojson", data: EMPTY, tolerance: 0.3 },
      names: { type: "geojson", data: EMPTY },
      guidance: { type: "geojson", data: EMPTY },
      places: { type: "geojson", data: EMPTY },
      incidents: { type: "geojson", data: EMPTY },
    },
    layers: [
      { id: "land", type: "background", paint: { "background-color": colours.land } },
      {
        id: "water",
        type: "fill",
        source: "network",
        filter: ["==", ["get", "kind"], "water"],
        paint: { "fill-color": colours.water, "fill-outline-color": colours.waterEdge },
      },
      guidanceLine("jam-glow", "jam", {
        "line-color": colours.jam,
        "line-width": width(1, 22),
        "line-blur": 12,
        "line-opacity": 0.9,
      }),
      ...roadLayers("ground", ["all", SEGMENT, ["!", RAISED]], colours),
      ...roadLayers("raised", ["all", SEGMENT, RAISED], colours),
      {
        id: "selected",
        type: "line",
        source: "network",
        filter: ["==", ["get", "id"], -1],
        layout: ROUND,
        paint: {
          "line-color": colours.selected,
          "line-width": width(0.3, 1),
          "line-offset": offset(),
        },
      },
      ...guidanceLayers(colours),
      incidentLayer(colours),
      labelLayer(colours, language),
    ],
  };
}
