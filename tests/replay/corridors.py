#!/usr/bin/env python3
"""Scores travel times along corridors against the trips of every vehicle of a SUMO hour of Bologna.

SUMO runs the scenario with a seed of its own and writes when each vehicle left each edge; a share of
the vehicles are probes, with noise as in the recorded hour (AR(1), 4 m). Corridors are the busiest
ways of 8, 10 and 14 edges that share at most one edge. A trip counts in the minute in which it ends.

    corridors.py [SEED] [SHARE]      default 101 0.1; needs the packages eclipse-sumo, pandas, pyarrow

ROADCAST_BIN   binary to run (default target/release/roadcast)
ROADCAST_DATA  data folder (default ../shared/data); without it the step is skipped, exit code 77
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
DATA = pathlib.Path(os.environ.get("ROADCAST_DATA", ROOT / "../shared/data")).resolve() / "bologna/scenario"
OUT = ROOT / "target/corridors"
WARM_UP_S, END_S = 600, 3600
TRIPS_MIN, CORRIDORS_MAX = 100, 6


def simulate(seed, share):
    """The scenario's hour: probes of a share of the vehicles, exit times of all."""
    import sumo

    additional = ["joined_bus_stops", "joined_vtypes", "joined_tls"]
    command = [
        pathlib.Path(sumo.SUMO_HOME) / "bin/sumo",
        "-n", DATA / "joined_buslanes.net.xml.gz",
        "-r", f"{DATA}/joined.rou.xml.gz,{DATA}/joined_busses.rou.xml",
        "-a", ",".join(f"{DATA}/{name}.add.xml" for name in additional),
        "--seed", str(seed), "--end", str(END_S), "--no-step-log", "--no-warnings",
        "--vehroute-output", OUT / "routes.xml", "--vehroute-output.exit-times",
        "--fcd-output", OUT / "fcd.csv", "--fcd-output.geo",
        "--fcd-output.attributes", "x,y,speed,angle", "--device.fcd.probability", str(share),
    ]
    subprocess.run([str(word) for word in command], check=True, cwd=OUT)


def probes():
    """The floating cars as a probe file."""
    fcd = pd.read_csv(OUT / "fcd.csv", sep=";")
    fcd = fcd.rename(columns={name: name.split("_")[-1] for name in fcd.columns})
    fcd = fcd[fcd["id"].notna()].sort_values(["id", "time"], kind="stable")
    random = np.random.default_rng(5)
    keep = 0.95
    first = (fcd["id"] != fcd["id"].shift()).to_numpy()
    steps = random.normal(0, 4, (len(fcd), 2))
    noise = np.zeros_like(steps)
    for row in range(len(fcd)):
        fresh = steps[row]
        noise[row] = fresh if first[row] else keep * noise[row - 1] + (1 - keep**2) ** 0.5 * fresh
    metres = 111_195.0
    lon = fcd.x + noise[:, 0] / (metres * np.cos(np.radians(44.5)))
    lat = fcd.y + noise[:, 1] / metres
    table = pd.DataFrame({
        "t": fcd.time.round().astype("int32"),
        "id": fcd["id"].astype("category"),
        "lon": (lon * 1e6).round().astype("int32"),
        "lat": (lat * 1e6).round().astype("int32"),
        "speed": (fcd.speed * 100).round().clip(0, 65535).astype("uint16"),
        "angle": (fcd.angle % 360 * 10).round().astype("uint16"),
    })
    table.sort_values(["t", "id"], kind="stable").to_parquet(OUT / "probes.parquet", index=False)


def drives():
    """Edges of every vehicle with when it entered and left each, s."""
    for vehicle in ET.parse(OUT / "routes.xml").getroot().iter("vehicle"):
        route = [*vehicle.iter("route")][-1]
        edges = route.get("edges").split()
        left = [float(time) for time in route.get("exitTimes").split()]
        yield edges, [float(vehicle.get("depart")), *left]


def choose(all_drives):
    """The busiest ways, no two sharing more than an edge."""
    counts = collections.Counter()
    for edges, _ in all_drives:
        for length in (8, 10, 14):
            # The last edge of a drive is not driven to its end.
            for start in range(1, len(edges) - length):
                counts[tuple(edges[start:start + length])] += 1
    chosen, used = [], set()
    for way, count in counts.most_common():
        if count < TRIPS_MIN or len(chosen) == CORRIDORS_MAX:
            break
        if len(set(way) & used) <= 1 and len(set(way)) == len(way):
            chosen.append(way)
            used |= set(way)
    return chosen


def trips(all_drives, way):
    """When each vehicle entered and left the way, s."""
    length = len(way)
    for edges, times in all_drives:
        for start in range(1, len(edges) - length):
            if tuple(edges[start:start + length]) == way:
                entered, left = times[start], times[start + length]
                if entered >= WARM_UP_S and entered < left < END_S - 60:
                    yield entered, left


def score(ways, all_drives):
    lines = [json.loads(line) for line in (OUT / "corridors.jsonl").open()]
    told = {(line["id"], line["start_ms"] // 60_000): line for line in lines}
    rows = []
    for index, way in enumerate(ways):
        of = []
        for entered, left in trips(all_drives, way):
            line = told.get((f"c{index}", int(left // 60)))
            if line is not None:
                experienced = line.get("experienced_s", np.nan)
                inside = line["low_s"] <= left - entered <= line["high_s"]
                of.append((left - entered, line["time_s"], experienced, inside))
        table = pd.DataFrame(of, columns=["true", "time", "experienced", "inside"])
        rows.append({
            "corridor": f"{way[0]} … {way[-1]}",
            "length_m": told[(f"c{index}", WARM_UP_S // 60)]["length_m"],
            "trips": len(table),
            "true_s": table.true.mean(),
            "mae_s": (table.time - table.true).abs().mean(),
            "mae_experienced_s": (table.experienced - table.true).abs().mean(),
            "inside_90": table.inside.mean(),
        })
    result = pd.DataFrame(rows)
    print(result.round(2).to_string(index=False))
    weights = result.trips / result.trips.sum()
    print(f"inside the 90 % interval, all trips: {(weights * result.inside_90).sum():.3f}")
    assert len(result) >= 3, "three corridors with enough trips"
    assert (result.mae_experienced_s < 0.5 * result.true_s).all(), "half of the trip time is no answer"


def main():
    if not DATA.exists():
        print(f"no data in {DATA}: skipped")
        sys.exit(77)
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 101
    share = float(sys.argv[2]) if len(sys.argv) > 2 else 0.1
    OUT.mkdir(parents=True, exist_ok=True)
    simulate(seed, share)
    probes()
    all_drives = list(drives())
    ways = choose(all_drives)
    entries = [
        f"[[state.corridors]]\nid = \"c{index}\"\nsources = {json.dumps(list(way))}\n"
        for index, way in enumerate(ways)
    ]
    (OUT / "corridors.toml").write_text("\n".join(entries))
    command = [
        BINARY, "replay",
        "--network", DATA / "joined_buslanes.net.xml.gz",
        "--input", OUT / "probes.parquet",
        "--config", OUT / "corridors.toml",
        "--model", "baseline",
        "--corridors", OUT / "corridors.jsonl",
        "--report", OUT / "report.json",
    ]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    score(ways, all_drives)


if __name__ == "__main__":
    main()
