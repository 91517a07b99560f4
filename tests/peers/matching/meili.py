"""Map matching by Valhalla's Meili (PyPI pyvalhalla) in the formats of `roadcast match`.

Needs Python 3.12 or newer. An edge walk of Meili is mapped back to the OSM way, direction and node
pair by geometry: Valhalla keeps the way's id and its points to six decimals.
"""
import copy
import csv
import itertools
import json
import math
import os
import subprocess
import sys
import time

NO_EDGE = 1 << 32
# What the mapping back needs, and no more: everything else would only cost time to write.
ATTRIBUTES = [
    "edge.way_id", "edge.begin_shape_index", "edge.end_shape_index", "shape",
    "matched.edge_index", "matched.type", "matched.point",
]


def build(extract, folder):
    """Builds Valhalla's tiles of an OSM extract once; returns their folder."""
    import valhalla
    from valhalla._scripts import PYVALHALLA_BIN_DIR

    tiles = os.path.join(folder, os.path.basename(extract).split(".")[0])
    os.makedirs(tiles, exist_ok=True)
    if not any(os.scandir(tiles)):
        config = tiles + ".json"
        with open(config, "w") as file:
            json.dump(valhalla.get_config(tile_dir=tiles, tile_extract=""), file)
        command = [f"{PYVALHALLA_BIN_DIR}/valhalla_build_tiles", "-c", config, extract]
        subprocess.run(command, check=True, capture_output=True)
    return tiles


def actor(tiles, sigma_m):
    """Meili with its defaults, or tuned to a position noise of `sigma_m` per axis."""
    import valhalla

    # Configurations share their inner tables: without a copy, tuning one tunes all that follow.
    config = copy.deepcopy(valhalla.get_config(tile_dir=tiles, tile_extract=""))
    if sigma_m:
        # The true standard deviation, four of them to look for roads, and only fixes that lie
        # farther apart than the noise decide about the path.
        tuned = {
            "sigma_z": sigma_m,
            "gps_accuracy": sigma_m,
            "search_radius": min(100, max(50, 4 * sigma_m)),
            "interpolation_distance": 2 * sigma_m,
        }
        config["meili"]["default"].update(tuned)
        config["meili"]["auto"]["search_radius"] = tuned["search_radius"]
    return valhalla.Actor(config)


def requests(traces):
    """One request a trace: (trace id, times as written, request)."""
    with open(traces, newline="") as file:
        rows = itertools.groupby(csv.DictReader(file), key=lambda row: row["trace_id"])
        for trace, fixes in rows:
            fixes = list(fixes)
            shape = [
                {"lat": float(f["lat"]), "lon": float(f["lon"]), "time": float(f["t"])}
                for f in fixes
            ]
            request = {
                "shape": shape,
                "costing": "auto",
                "shape_match": "map_snap",
                "filters": {"action": "include", "attributes": ATTRIBUTES},
            }
            yield trace, [f["t"] for f in fixes], json.dumps(request)


def polyline(text):
    """Decodes Google's polyline format with six decimals to (lon, lat)."""
    points, values, at = [], [0, 0], 0
    while at < len(text):
        for axis in (0, 1):
            shift = bits = 0
            while True:
                byte = ord(text[at]) - 63
                at += 1
                bits |= (byte & 31) << shift
                shift += 5
                if byte < 32:
                    break
            values[axis] += ~(bits >> 1) if bits & 1 else bits >> 1
        points.append((values[1] / 1e6, values[0] / 1e6))
    return points


class Ways:
    """The node pairs of the highways of an extract."""

    def __init__(self, extract):
        import osmium

        self.points = {}
        self.lon_scale = 1.0
        for way in osmium.FileProcessor(extract).with_locations():
            if way.is_way() and "highway" in way.tags:
                points = [(n.location.lon, n.location.lat) for n in way.nodes if n.location.valid()]
                self.points[way.id] = points
                self.lon_scale = math.cos(math.radians(points[0][1]))

    def nearest(self, way, place):
        """Index of the way's node pair nearest to a place."""
        points = self.points[way]
        scale = self.lon_scale
        best = (math.inf, 0)
        for index, (a, b) in enumerate(zip(points, points[1:])):
            ux, uy = (b[0] - a[0]) * scale, b[1] - a[1]
            px, py = (place[0] - a[0]) * scale, place[1] - a[1]
            share = min(1.0, max(0.0, (px * ux + py * uy) / max(ux * ux + uy * uy, 1e-18)))
            best = min(best, (math.hypot(px - share * ux, py - share * uy), index))
        return best[1]

    def pairs(self, way, shape):
        """(direction, index) of the node pairs under the shape of one edge."""
        found = []
        for p, q in zip(shape, shape[1:]):
            if p == q:
                continue
            between = lambda share: (p[0] + (q[0] - p[0]) * share, p[1] + (q[1] - p[1]) * share)
            first, last = (self.nearest(way, between(share)) for share in (0.02, 0.98))
            a, b = self.points[way][first], self.points[way][first + 1]
            along = (q[0] - p[0]) * (b[0] - a[0]) * self.lon_scale**2 + (q[1] - p[1]) * (b[1] - a[1])
            direction = 1 if along >= 0 else -1
            # A straight piece may stand for several pairs; a closed way may jump from end to start.
            is_ordered = 0 <= (last - first) * direction <= 8
            steps = range(first, last + direction, direction) if is_ordered else (first, last)
            found += [(direction, step) for step in steps]
        return [pair for pair, _ in itertools.groupby(found)]


def match(tiles, sigma_m, traces, ways, rows_path, routes_path):
    """Matches a file of traces and writes rows and routes as `roadcast match` does."""
    meili = actor(tiles, sigma_m)
    failed = 0
    with open(rows_path, "w", newline="") as rows_file, open(routes_path, "w") as routes_file:
        rows = csv.writer(rows_file)
        rows.writerow(["trace_id", "t", "source_id", "source_dir"])
        for trace, times, request in requests(traces):
            try:
                answer = json.loads(meili.trace_attributes(request))
            except RuntimeError:
                failed += 1
                continue
            shape = polyline(answer["shape"])
            route, known = [], {}
            for number, edge in enumerate(answer["edges"]):
                way = edge["way_id"]
                part = shape[edge["begin_shape_index"]:edge["end_shape_index"] + 1]
                pairs = ways.pairs(way, part)
                if pairs:
                    known[number] = (way, pairs[0][0])
                route += [[way, direction, index, 0.0] for direction, index in pairs]
            for time_text, point in zip(times, answer["matched_points"]):
                place = known.get(point.get("edge_index", NO_EDGE))
                if place and point["type"] != "unmatched":
                    rows.writerow([trace, time_text, *place])
            route = [pair for pair, _ in itertools.groupby(route)]
            routes_file.write(json.dumps({"trace_id": trace, "segs": route}) + "\n")
    if failed:
        print(f"Meili could not match {failed} traces of {traces}", file=sys.stderr)


def speed(tiles, sigma_m, traces, fixes_min):
    """CPU seconds and fixes of matching the traces over and over, from a cold start.

    Reading the traces and writing the requests is not counted, nor what reads the answers."""
    prepared = [(len(times), request) for _, times, request in requests(traces)]
    began, fixes = time.process_time(), 0
    meili = actor(tiles, sigma_m)
    while fixes < fixes_min:
        for count, request in prepared:
            try:
                meili.trace_attributes(request)
            except RuntimeError:
                pass
            fixes += count
    return time.process_time() - began, fixes


if __name__ == "__main__":
    tiles, sigma, traces, fixes_min = sys.argv[1:]
    print(json.dumps(speed(tiles, int(sigma), traces, int(fixes_min))))
