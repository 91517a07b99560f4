#!/usr/bin/env python3
"""Makes datasets of five-minute speeds on several networks, to learn one model from that fits others.

usage: networks.py OUT [--days 14] [--only NAME …]
       networks.py OUT --name NAME --network NET --routes ROU [--additional ADD …] [--peak 1]

The first form draws two towns with signals and three motorways, makes SUMO networks of them with
netconvert and simulates whole days with SUMO's mesoscopic model. The second takes a network and an
hour of vehicles with routes: the hour, times `--peak`, is the peak. Routes are chosen once a network;
days differ in demand by hour, origin and destination, in rain and in incidents, which halve the flow
of an edge or worse. Everything follows from seeds.

OUT/NAME gets dataset.toml, series.csv.gz (km/h), graph.csv, segments.csv and events.csv (incidents and
rain), as `roadcast train --dataset` reads them. Days that are there are not made again. PROCESSES days run at a time (2).
"""

import argparse
import multiprocessing
import os
import pathlib
import re
import resource
import subprocess
import zlib

import numpy as np
import pandas as pd
import sumolib
from roads import DRAWN, given_routes, make, nearest, read_network

STEP_S, STEPS = 300, 288
MIDNIGHT = pd.Timestamp("2024-01-01")  # a Monday
HOURS = (np.arange(STEPS) + 0.5) / 12
LICENCE = "made by tests/forecast/networks.py"
GIVEN_LICENCE = "; network and routes: DLR-TS, EPL-2.0"
# A cell counts from 10 s of vehicles' time on; a road is a column from this length on, if it is no ramp
# and 60 % of its cells from 6 to 22 h count.
SAMPLED_MIN_S, LENGTH_MIN_M, DAY_MISSING_MAX = 10, 20, 0.4
LOOP_SCATTER = 0.012  # of a loop station's mean, share of the speed


def drifts(rng, days, many, sd):
    """Logarithms of factors that drift from day to day."""
    steps = rng.normal(0, sd, (days, many))
    for day in range(1, days):
        steps[day] = 0.8 * steps[day - 1] + 0.6 * steps[day]
    return steps


def demand_of_days(rng, routes, days):
    """Vehicles an hour of each day, [route][step]."""
    ends = [np.unique([route.edges[index] for route in routes], return_inverse=True)[1] for index in (0, -1)]
    drift = drifts(rng, days, len(routes), 0.12)
    for index in ends:
        drift += drifts(rng, days, index.max() + 1, 0.09)[:, index]

    def bump(hour, hours):
        return np.exp(-(((HOURS - hour - rng.normal(0, 0.25)) / (hours * rng.lognormal(0, 0.08))) ** 4))

    for day in range(days):
        night = 0.07 + 0.03 * np.cos((HOURS - 23) / 24 * 2 * np.pi)
        total, (first, second) = rng.normal(1, 0.08), rng.normal(1, 0.1, 2)
        if day % 7 < 5:  # Friday's evening begins early
            peaks = 0.45 * first * bump(8, 1.5), 0.46 * second * bump(17.2 - 0.5 * (day % 7 == 4), 2.0)
            between = night + 0.53 * bump(13.5, 7.3)
        else:
            peaks = np.zeros(STEPS), 0.22 * first * bump(14.5, 3.0)
            between = night + (0.45 - 0.07 * (day % 7 == 6)) * second * bump(15, 6.3)
        noise = np.zeros((STEPS, ends[0].max() + 1))
        for step in range(1, STEPS):
            common, own = rng.normal(0, 0.03), rng.normal(0, 0.06, noise.shape[1])
            noise[step] = 0.85 * noise[step - 1] + 0.53 * (common + own)
        curve = np.array([route[1:] for route in routes]) @ np.array([*peaks, between])
        yield total * curve * np.exp(drift[day])[:, None] * np.exp(noise[:, ends[0]].T)


def draw_rain(rng):
    """How strong it is, 0 to 1, by half hour of a day. The first that is drawn of a day."""
    rain = np.zeros(48)
    if rng.random() < 0.25:
        first = int(rng.integers(8, 36))
        rain[first : first + int(rng.integers(4, 18))] = rng.uniform(0.3, 1)
    return rain


def write_vehicles(rng, network, routes, rates, file):
    """Vehicles by chance, and how fast and close they drive: that differs by half hour, and in rain."""
    rain = draw_rain(rng)
    headway, gap_m, truck_share = (1.2, 4, 0.06) if network.is_motorway else (1.15, 2.5, 0.03)
    headways = headway * (1 + 0.15 * rain) * rng.normal(1, 0.04, 48)
    lines = ["<routes>"]
    for half in range(48):
        for kind, form in (("car", f'minGap="{gap_m}"'), ("truck", 'maxSpeed="24.5" length="14"')):
            factor = f"normc({1 - 0.12 * rain[half]:.3f},0.08,0.6,1.4)"
            lines.append(f'<vType id="{kind}{half}" {form} tau="{headways[half]:.3f}" speedFactor="{factor}"/>')
    lines += [f'<route id="{index}" edges="{" ".join(route.edges)}"/>' for index, route in enumerate(routes)]
    counts = rng.poisson(rates / 12)
    route, step = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
    departs = (step + rng.random(len(step))) * STEP_S
    kinds = np.where(rng.random(len(step)) < truck_share, "truck", "car")
    for number, at in enumerate(np.argsort(departs)):
        kind = f"{kinds[at]}{step[at] // 6}"
        lines.append(f'<vehicle id="{number}" depart="{departs[at]:.1f}" route="{route[at]}" type="{kind}"/>')
    file.write_text("\n".join([*lines, "</routes>"]))


def write_incidents(rng, network, routes, rates, file):
    """An edge, more likely one with traffic, is slow, then less so. And what is measured."""
    used = dict.fromkeys(network.roads, 0.0)
    for route, vehicles in zip(routes, rates.sum(axis=1)):
        for edge in route.edges:
            used[edge] += vehicles
    edges = [id_ for id_, road in network.roads.items() if road.length_m > 80 and road.kind != "ramp"]
    weights = np.array([used[edge] for edge in edges])
    lines = ["<additional>"]
    for number in range(min(rng.poisson(network.incidents), 3 * round(network.incidents))):
        road = network.roads[rng.choice(edges, p=weights / weights.sum())]
        begin, lasts_s, mps = rng.uniform(6, 21) * 3600, rng.uniform(15, 60) * 60, rng.uniform(2, 8)
        lanes = " ".join(f"{road.id}_{lane}" for lane in range(road.lanes))
        steps = (begin, mps), (begin + 0.7 * lasts_s, 1.6 * mps), (begin + lasts_s, road.kmh / 3.6)
        steps = "".join(f'<step time="{time:.0f}" speed="{speed:.2f}"/>' for time, speed in steps)
        lines.append(f'<variableSpeedSign id="incident{number}" lanes="{lanes}">{steps}</variableSpeedSign>')
    means = f'period="{STEP_S}" excludeEmpty="true" writeAttributes="sampledSeconds speed"'
    file.write_text("\n".join([*lines, f'<edgeData id="means" file="means.xml" {means}/>', "</additional>"]))


def simulate(job):
    """One day's speeds, km/h, [step][road], into day.npy; not a number where too few drove."""
    network, routes, rates, seed, additional, out = job
    if (out / "day.npy").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    write_vehicles(rng, network, routes, rates, out / "day.rou.xml")
    write_incidents(rng, network, routes, rates, out / "day.add.xml")
    subprocess.run([
        "nice", "sumo", "--mesosim", "-n", network.file, "-r", "day.rou.xml",
        "-a", ",".join(map(str, ["day.add.xml", *additional])), "--end", str(STEPS * STEP_S),
        "--seed", str(seed[1]), "--no-step-log", "--no-warnings", "--xml-validation", "never",
        "--max-depart-delay", "900", "--time-to-teleport", "300" if network.is_motorway else "30",
        "--meso-taujf", "1.3", "--meso-taujj", "1.2",
        "--meso-junction-control", str(not network.is_motorway).lower(),
    ], cwd=out, check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    column = {id_: index for index, id_ in enumerate(network.roads)}
    speeds, step = np.full((STEPS, len(column)), np.nan), 0
    for line in (out / "means.xml").read_text().splitlines():
        values = dict(re.findall(r'(\w+)="([^"]*)"', line))
        if "<interval " in line:
            step = int(float(values["begin"])) // STEP_S
        elif values.get("id") in column and float(values.get("sampledSeconds", 0)) >= SAMPLED_MIN_S:
            speeds[step, column[values["id"]]] = float(values.get("speed", "nan")) * 3.6
    if network.is_motorway:
        speeds *= 1 + LOOP_SCATTER * rng.normal(0, 1, speeds.shape)
    np.save(out / "day.npy", speeds)
    for name in ("day.rou.xml", "means.xml"):
        (out / name).unlink()


def write_graph(network, kept, kernel_m, file):
    """Who is next to whom among the kept columns, over roads that are left out, too."""
    roads, pairs = network.roads, {}
    for start in kept:
        limit, through = (1.5 * kernel_m, lambda _: True) if kernel_m else (10_000, lambda edge: edge not in kept)
        far, _ = nearest(network, start, lambda edge: roads[edge].length_m, limit, through)
        for end in sorted(set(far) & set(kept) - {start}):
            metres = far[end] + (roads[end].length_m - roads[start].length_m) / 2
            weight = np.exp(-((metres / (kernel_m or 600)) ** 2))
            for pair in [(start, end), (end, start)][: 2 if kernel_m else 1]:
                pairs[pair] = max(weight, pairs.get(pair, 1e-6))
    lines = [f"{start},{end},{weight:.6f}" for (start, end), weight in sorted(pairs.items())]
    file.write_text("\n".join(["from,to,weight", *lines, ""]))


def write_events(jobs, kept, out):
    """Incidents on the kept roads and rain, as they were simulated."""
    lines = ["kind,segment,from,until"]

    def add(kind, segment, day, begin_s, end_s):
        times = (MIDNIGHT + pd.Timedelta(days=day, seconds=round(at_s)) for at_s in (begin_s, end_s))
        lines.append(",".join([kind, segment, *(time.isoformat() for time in times)]))

    for *_, seed, _, folder in jobs:
        for sign in sumolib.xml.parse(str(folder / "day.add.xml"), ["variableSpeedSign"]):
            road, times = sign.lanes.split()[0].rsplit("_", 1)[0], [float(step.time) for step in sign.step]
            if road in kept:
                add("incident", road, seed[1], times[0], times[-1])
        wet = np.flatnonzero(draw_rain(np.random.default_rng(seed)))
        if wet.size:
            add("weather", "", seed[1], 1800 * wet[0], 1800 * (wet[-1] + 1))
    (out / "events.csv").write_text("\n".join([*lines, ""]))


def is_column(road):
    return road.length_m >= LENGTH_MIN_M and "ramp" not in road.kind


def write_dataset(name, network, jobs, kernel_m, licence, out):
    speeds = np.concatenate([np.load(job[-1] / "day.npy") for job in jobs])
    is_day = np.tile((HOURS > 6) & (HOURS < 22), len(speeds) // STEPS)
    shown = np.isnan(speeds[is_day]).mean(axis=0) <= DAY_MISSING_MAX
    kept = [road for road, is_shown in zip(network.roads.values(), shown) if is_shown and is_column(road)]
    frame = pd.DataFrame(speeds.round(2), columns=list(network.roads))[[road.id for road in kept]]
    times = pd.date_range(MIDNIGHT, periods=len(speeds), freq=f"{STEP_S}s")
    frame.insert(0, "time", times.strftime("%Y-%m-%dT%H:%M:%S"))
    frame.to_csv(out / "series.csv.gz", index=False)
    write_graph(network, [road.id for road in kept], kernel_m, out / "graph.csv")
    write_events(jobs, {road.id for road in kept}, out)
    lines = [f"{r.id},{r.kind},{r.lanes},{r.length_m:.1f},{r.kmh / 3.6:.2f},{r.is_signalised:d}" for r in kept]
    # Stations within reach of each other are no roads that follow on one another: as with sensors, nothing
    # more is told of them.
    (out / "segments.csv").unlink(missing_ok=True)
    if not kernel_m:
        (out / "segments.csv").write_text("\n".join(["segment,class,lanes,length_m,limit_mps,signal", *lines, ""]))
    (out / "dataset.toml").write_text(
        f'name = "{name}"\nquantity = "speed"\nunit = "km/h"\nstep_s = {STEP_S}\nrows = {len(speeds)}\n'
        f'zero_is_missing = false\nlicence = "{licence}"\nnote = "simulated with SUMO, mesoscopic"\n'
    )
    print(f"{name}: {len(speeds)} rows, {len(kept)} of {len(network.roads)} roads", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--only", nargs="+", default=list(DRAWN), choices=DRAWN)
    parser.add_argument("--name", default="given")
    for option in ("--network", "--routes"):
        parser.add_argument(option, type=pathlib.Path)
    parser.add_argument("--additional", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--peak", type=float, default=1.0)
    options = parser.parse_args()
    for name in [options.name] if options.network else options.only:
        out, more = (options.out / name).resolve(), [path.resolve() for path in options.additional]
        out.mkdir(parents=True, exist_ok=True)
        if options.network:
            network = read_network(options.network.resolve(), {})
            routes, kernel_m = given_routes(options.routes, network, options.peak), 0
        else:
            (network, routes), kernel_m = make(name, out), DRAWN[name][-1]
        seed = zlib.crc32(name.encode())
        days = enumerate(demand_of_days(np.random.default_rng(seed), routes, options.days))
        jobs = [(network, routes, rates, (seed, day), more, out / f"day{day:02}") for day, rates in days]
        with multiprocessing.Pool(int(os.environ.get("PROCESSES", 2))) as pool:
            pool.map(simulate, jobs, 1)
        write_dataset(name, network, jobs, kernel_m, LICENCE + GIVEN_LICENCE * bool(options.network), out)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{used.ru_utime + used.ru_stime:.0f} CPU s so far", flush=True)


if __name__ == "__main__":
    main()
