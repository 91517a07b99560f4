// Geometry the page derives from the network: long lines for names, ways of guidance, bounds.

const EMPTY_BOUNDS = [180, 90, -180, -90];

/** Longest line a name is laid along, in segments; keeps labels near what is on the screen. */
const CHAIN_SEGMENTS = 40;

/** Later than any event time, for jams without a forecast end. */
const FOR_EVER_MS = 1e16;

const keyOf = ([lon, lat]) => `${lon},${lat}`;

/** `[west, south, east, north]` around positions; `null` around none. */
export function boundsOf(positions) {
  const bounds = [...EMPTY_BOUNDS];
  for (const [lon, lat] of positions) {
    bounds[0] = Math.min(bounds[0], lon);
    bounds[1] = Math.min(bounds[1], lat);
    bounds[2] = Math.max(bounds[2], lon);
    bounds[3] = Math.max(bounds[3], lat);
  }
  return bounds[0] <= bounds[2] ? bounds : null;
}

/** Joins lines end to start into one, leaving out doubled positions. */
function joined(lines) {
  const all = [];
  for (const line of lines) {
    const from = all.length > 0 && keyOf(all[all.length - 1]) === keyOf(line[0]) ? 1 : 0;
    for (let index = from; index < line.length; index += 1) all.push(line[index]);
  }
  return all;
}

/**
 * One feature for every run of segments of the same name, so that a label finds room on streets cut
 * into short segments. Of the two directions of a street one is enough.
 */
export function nameLines(segments) {
  const byName = new Map();
  for (const { properties, geometry } of segments) {
    if (!properties.name && !properties.name_en) continue;
    const group = `${properties.name ?? ""}|${properties.name_en ?? ""}|${properties.rank}`;
    if (!byName.has(group)) byName.set(group, { properties, starts: new Map(), drawn: new Set() });
    const { starts, drawn } = byName.get(group);
    const line = geometry.coordinates;
    const ends = [keyOf(line[0]), keyOf(line[line.length - 1])].sort().join(";");
    if (drawn.has(ends)) continue;
    drawn.add(ends);
    const start = keyOf(line[0]);
    if (starts.has(start)) starts.get(start).push(line);
    else starts.set(start, [line]);
  }
  const features = [];
  for (const { properties, starts } of byName.values()) {
    const entered = new Set([...starts.values()].flat().map((line) => keyOf(line[line.length - 1])));
    const heads = [...starts.keys()].filter((start) => !entered.has(start));
    for (const start of [...heads, ...starts.keys()]) {
      while (starts.get(start)?.length > 0) {
        const lines = [];
        let at = start;
        while (lines.length < CHAIN_SEGMENTS && starts.get(at)?.length > 0) {
          const line = starts.get(at).pop();
          lines.push(line);
          at = keyOf(line[line.length - 1]);
        }
        features.push(feature(properties, joined(lines)));
      }
    }
  }
  return { type: "FeatureCollection", features };
}

function feature({ name, name_en, rank }, coordinates) {
  const properties = { rank, name: name ?? name_en, name_en: name_en ?? name };
  return { type: "Feature", properties, geometry: { type: "LineString", coordinates } };
}

/** The parts of guidance messages to draw: segments with their width and side, and whole ways. */
export function guidanceFeatures(messages, segments) {
  const features = [];
  for (const { id, jam, diversion } of messages) {
    const until_ms = jam?.forecast_end_ms ?? FOR_EVER_MS;
    const roles = jam
      ? { jam: jam.segments }
      : { alternative: diversion.alternative_segments, main: diversion.main_segments };
    for (const [role, numbers] of Object.entries(roles)) {
      const drawn = numbers.map((number) => segments[number]).filter(Boolean);
      for (const { properties, geometry } of drawn) {
        const { rank, two_way, link } = properties;
        features.push({
          type: "Feature",
          properties: { id, role, rank, two_way, link, until_ms },
          geometry,
        });
      }
      if (role === "alternative" && drawn.length > 0) {
        features.push({
          type: "Feature",
          properties: { id, role: "arrows" },
          geometry: {
            type: "LineString",
            coordinates: joined(drawn.map(({ geometry }) => geometry.coordinates)),
          },
        });
      }
    }
  }
  return { type: "FeatureCollection", features };
}

/** Where a jam begins and ends and where drivers decide. */
export function guidancePlaces(messages) {
  const features = [];
  const add = (id, role, { lon_deg, lat_deg }, until_ms = FOR_EVER_MS) =>
    features.push({
      type: "Feature",
      properties: { id, role, until_ms },
      geometry: { type: "Point", coordinates: [lon_deg, lat_deg] },
    });
  for (const { id, jam, diversion } of messages) {
    if (jam) {
      add(id, "head", jam.head, jam.forecast_end_ms);
      add(id, "tail", jam.tail, jam.forecast_end_ms);
    } else {
      add(id, "decision", diversion.decision);
    }
  }
  return { type: "FeatureCollection", features };
}
