#!/usr/bin/env python3
"""Simulates hours with and without stopped vehicles that block lanes, for the incident campaign.

usage: simulate.py OUT NETWORK SEED [SEED…]    NETWORK: bologna cologne1 cologne3 cologne8 highway

For each seed two hours are simulated with the same demand and the same random numbers: `quiet`, and
`blocked` with vehicles that stop on a lane at random places and times. Each folder holds what a
site would have (probes.parquet: 10 % of the vehicles, 1 Hz, GPS noise of 4 m an axis, 70 % of its
variance AR(1) with 30 s; e1.parquet, e2.parquet: detectors; detectors.add.xml) and what only the
scorer may see (edges.parquet, blocked.json). A run that is there is not made again.

ROADCAST_DATA  data folder (default ../shared/data)
"""

import json
import os
import pathlib
import random
import sys
import xml.etree.ElementTree as xml

import libsumo
import numpy as np
import pandas as pd
import pyproj
import sumolib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("ROADCAST_DATA", ROOT / "../shared/data")).resolve()
GAME = pathlib.Path(sumolib.__file__).parents[1] / "sumo/tools/game"
SHARE = 0.10  # of the vehicles that are probes
NOISE_M, CORRELATED, TAU_S = 4.0, 0.7, 30.0
HOUR_S = 3600
# Blockages: onset and duration in seconds after the start, drawn evenly.
ONSET_S, DURATION_S = (720, 2280), (600, 1200)
LENGTH_MIN_M, FLOW_MIN_VPH, APART_M = 80.0, 250.0, 700.0
FROM_START_M, FROM_END_M = 30.0, 15.0
DEADLOCK_EDGE = "201283198"  # of the motorway


def scenario(name):
    """Network file, route files, additional files, begin s, step s, blockages a run."""
    if name == "bologna":
        folder = DATA / "bologna/scenario"
        routes = [folder / "joined.rou.xml.gz", folder / "joined_busses.rou.xml"]
        extra = ["bus_stops", "vtypes", "tls"]
        more = [folder / f"joined_{what}.add.xml" for what in extra]
        more += [folder / "tls_e1.add.xml", folder / "tls_e2.add.xml"]
        return folder / "joined_buslanes.net.xml.gz", routes, more, 0, 1.0, 2
    if name.startswith("cologne"):
        folder = DATA / "signals" / name
        net, routes = folder / f"{name}.net.xml", [folder / f"{name}.rou.xml"]
        return net, routes, [], 25200, 1.0, 2 if name == "cologne8" else 1
    return GAME / "highway/highway.net.xml", [], [], 0, 1.0, 2


def motorway_demand(net, out):
    """Flows between all ends of the motorway, so that it flows freely: 1 000 veh/h a lane where two
    or more enter, 350 where one does, to every end that can be reached, by lanes; one vehicle in ten
    is a truck. Routes over DEADLOCK_EDGE are left out: at any demand two ramps that merge there over
    12 m into one lane stand in each other's way for the rest of the hour."""
    edges = [edge for edge in net.getEdges() if edge.allows("passenger")]
    ends = [edge for edge in edges if not edge.getOutgoing()]
    lines = [
        "<routes>",
        '<vType id="car" vClass="passenger" speedDev="0.1" probability="0.9"/>',
        '<vType id="truck" vClass="truck" speedDev="0.05" probability="0.1"/>',
        '<vTypeDistribution id="mix" vTypes="car truck"/>',
    ]
    number = 0
    for start in (edge for edge in edges if not edge.getIncoming()):
        rate = (1000 if start.getLaneNumber() > 1 else 350) * start.getLaneNumber()
        routes = [(net.getShortestPath(start, end)[0], end.getLaneNumber()) for end in ends]
        routes = [
            (route, lanes)
            for route, lanes in routes
            if route and all(edge.getID() != DEADLOCK_EDGE for edge in route)
        ]
        total = sum(lanes for _, lanes in routes)
        for route, lanes in routes:
            path = " ".join(edge.getID() for edge in route)
            lines.append(f'<route id="r{number}" edges="{path}"/>')
            lines.append(
                f'<flow id="f{number}" route="r{number}" type="mix" begin="0" end="3600" '
                f'probability="{min(rate * lanes / total / 3600, 1):.4f}" departSpeed="max" '
                'departLane="best"/>'
            )
            number += 1
    path = out / "demand.rou.xml"
    path.write_text("\n".join([*lines, "</routes>"]))
    return [path]


def place_detectors(net, out):
    """Loops 30 m and lane areas over the last 60 m before each signal; on roads without signals a
    loop in each lane every 500 m."""
    lines = ["<additional>"]
    for edge in net.getEdges():
        if not edge.allows("passenger"):
            continue
        is_signalised = edge.getToNode().getType().startswith("traffic_light")
        length = edge.getLength()
        for lane in edge.getLanes():
            id_ = lane.getID()
            if is_signalised and length >= 20:
                lines.append(
                    f'<e1Detector id="e1det_{id_}" lane="{id_}" pos="{max(length - 30, 2):.2f}" '
                    'freq="60" file="e1.xml" friendlyPos="true"/>'
                )
                area = min(60, length - 1)
                lines.append(
                    f'<laneAreaDetector id="e2det_{id_}" lane="{id_}" pos="{length - area - 0.5:.2f}" '
                    f'length="{area:.2f}" freq="60" file="e2.xml" friendlyPos="true"/>'
                )
            elif not is_signalised and edge.getSpeed() > 20 and length > 100:
                for number in range(max(1, int(length // 500))):
                    lines.append(
                        f'<e1Detector id="e1det_{id_}_{number}" lane="{id_}" '
                        f'pos="{min(length / 2, 250) + 500 * number:.2f}" freq="60" file="e1.xml" '
                        'friendlyPos="true"/>'
                    )
    lines.append("</additional>")
    path = out / "detectors.add.xml"
    path.write_text("\n".join(lines))
    return path


def detectors_of(name, net, more, out):
    """The additional files with detectors, their output going to `out`."""
    if name != "bologna":
        return more + [place_detectors(net, out)]
    kept = []
    text = ["<additional>"]
    for path in more:
        if path.name.startswith("tls_"):
            lines = path.read_text().splitlines()
            text += [line for line in lines if "<e1Detector" in line or "<laneArea" in line]
        else:
            kept.append(path)
    joined = out / "detectors.add.xml"
    joined.write_text("\n".join([*text, "</additional>"]))
    return [*kept, joined]


def draw_blockages(net, flows, count, rng, begin):
    """Where, when and how wide: edges with traffic, evenly; lanes that cars use."""
    edges = [
        edge
        for edge in net.getEdges()
        if edge.allows("passenger")
        and edge.getLength() >= LENGTH_MIN_M
        and flows.get(edge.getID(), 0) >= FLOW_MIN_VPH
    ]
    edges.sort(key=lambda edge: edge.getID())
    drawn = []
    for _ in range(1000):
        if len(drawn) == count or not edges:
            break
        edge = rng.choice(edges)
        centre = np.array(edge.getShape()).mean(axis=0)
        if any(np.hypot(*(centre - np.array(other["centre"]))) < APART_M for other in drawn):
            continue
        lanes = [lane.getIndex() for lane in edge.getLanes() if lane.allows("passenger")]
        wide = rng.randint(1, len(lanes))
        first = rng.randint(0, len(lanes) - wide)
        onset = begin + rng.uniform(*ONSET_S)
        drawn.append({
            "edge": edge.getID(), "lanes": lanes[first : first + wide], "of": len(lanes),
            "pos": rng.uniform(FROM_START_M, edge.getLength() - FROM_END_M),
            "onset": onset, "duration": rng.uniform(*DURATION_S),
            "centre": [float(x) for x in centre], "length": edge.getLength(),
        })  # fmt: skip
    return drawn


class Blocker:
    """Stops the next vehicle that can still stop before the place, on each lane to be blocked."""

    def __init__(self, blockage):
        self.blockage = blockage
        self.stopped = {}
        self.left = set(blockage["lanes"])
        blockage["stops"] = []

    def step(self, now):
        blockage = self.blockage
        if now < blockage["onset"] or now > blockage["onset"] + blockage["duration"]:
            return
        for lane in sorted(self.left):
            for vehicle in reversed(libsumo.lane.getLastStepVehicleIDs(f"{blockage['edge']}_{lane}")):
                ahead = blockage["pos"] - libsumo.vehicle.getLanePosition(vehicle)
                speed = libsumo.vehicle.getSpeed(vehicle)
                if ahead < 2 + speed * speed / 7.0 or libsumo.vehicle.getStops(vehicle):
                    continue
                left = blockage["onset"] + blockage["duration"] - now
                try:
                    libsumo.vehicle.setStop(vehicle, blockage["edge"], blockage["pos"], lane, left)
                except libsumo.TraCIException:
                    continue
                self.left.discard(lane)
                self.stopped[vehicle] = lane
                break
        for vehicle, lane in list(self.stopped.items()):
            try:
                if libsumo.vehicle.isStopped(vehicle):
                    blockage["stops"].append({"lane": lane, "at": now, "vehicle": vehicle})
                    del self.stopped[vehicle]
            except libsumo.TraCIException:  # it has gone
                del self.stopped[vehicle]
                self.left.add(lane)


def gps_noise(frame, seed):
    """AR(1) and white noise by vehicle, metres."""
    rng = np.random.default_rng(seed)
    rho = np.exp(-1.0 / TAU_S)
    slow, white = NOISE_M * np.sqrt(CORRELATED), NOISE_M * np.sqrt(1 - CORRELATED)
    noise = np.zeros((len(frame), 2))
    for rows in frame.groupby("id", sort=True, observed=True).indices.values():
        state = rng.normal(0, slow, 2)
        steps = rng.normal(0, slow * np.sqrt(1 - rho * rho), (len(rows), 2))
        for row, step in zip(rows, steps):
            noise[row] = state
            state = rho * state + step
    return noise + rng.normal(0, white, noise.shape)


def records(path, tag, numbers):
    rows = []
    for _, item in xml.iterparse(path):
        if item.tag == tag:
            row = {"begin": float(item.get("begin")), "end": float(item.get("end")), "id": item.get("id")}
            row.update({name: float(item.get(name, -1)) for name in numbers})
            rows.append(row)
            item.clear()
    return pd.DataFrame(rows)


E1 = ["nVehContrib", "flow", "occupancy", "speed"]
E2 = ["sampledSeconds", "nVehSeen", "meanSpeed", "meanOccupancy", "maxJamLengthInMeters"]
E2 = [*E2[:2], "nVehEntered", "nVehLeft", *E2[2:]]


def run(name, seed, blockages, out, demand=1.0):
    net_file, routes, more, begin, step, _ = scenario(name)
    net = sumolib.net.readNet(str(net_file))
    out.mkdir(parents=True, exist_ok=True)
    work = out.parent / f"{out.name}.work"
    work.mkdir(exist_ok=True)
    if name == "highway":
        routes = motorway_demand(net, work)
    more = detectors_of(name, net, more, work)
    mean = work / "mean.add.xml"
    mean.write_text('<additional><edgeData id="m" file="mean.xml" period="60"/></additional>')
    libsumo.start([
        "sumo", "-n", str(net_file), "-r", ",".join(map(str, routes)),
        "-a", ",".join(map(str, [*more, mean])), "--begin", str(begin),
        "--step-length", str(step), "--seed", str(seed), "--time-to-teleport", "600",
        "--ignore-route-errors", "--no-step-log", "--no-warnings",
        "--max-depart-delay", "600", "--xml-validation", "never", "--scale", str(demand),
    ])  # fmt: skip
    blockers = [Blocker(blockage) for blockage in blockages]
    is_probe = {}
    rows = []
    variables = [libsumo.constants.VAR_POSITION, libsumo.constants.VAR_SPEED, libsumo.constants.VAR_ANGLE]
    per_second = int(round(1 / step))
    for index in range(HOUR_S * per_second):
        libsumo.simulationStep()
        now = libsumo.simulation.getTime()
        for vehicle in libsumo.simulation.getDepartedIDList():
            if random.Random(f"{seed}/{vehicle}").random() < SHARE:
                libsumo.vehicle.subscribe(vehicle, variables)
                is_probe[vehicle] = True
        for blocker in blockers:
            blocker.step(now)
        if (index + 1) % per_second == 0:
            for vehicle, values in libsumo.vehicle.getAllSubscriptionResults().items():
                (x, y), speed, angle = (values[key] for key in variables)
                if x > -1e6:
                    rows.append((int(now), vehicle, x, y, speed, angle))
    libsumo.close()

    frame = pd.DataFrame(rows, columns=["t", "id", "x", "y", "v", "a"])
    noise = gps_noise(frame, seed)
    x, y = frame.x + noise[:, 0], frame.y + noise[:, 1]
    location = net._location
    offset = [float(part) for part in location["netOffset"].split(",")]
    project = pyproj.Proj(location["projParameter"])
    lon, lat = project((x - offset[0]).to_numpy(), (y - offset[1]).to_numpy(), inverse=True)
    probes = pd.DataFrame({
        "t": frame.t.astype("int32"), "id": frame.id.astype("category"),
        "lon": np.round(lon * 1e6).astype("int32"), "lat": np.round(lat * 1e6).astype("int32"),
        "speed": np.round(frame.v * 100).clip(0, 65535).astype("uint16"),
        "angle": (np.round(frame.a * 10) % 3600).astype("uint16"),
    })  # fmt: skip
    probes.to_parquet(out / "probes.parquet")
    records(work / "e1.xml", "interval", E1).to_parquet(out / "e1.parquet")
    if (work / "e2.xml").exists():
        records(work / "e2.xml", "interval", E2).to_parquet(out / "e2.parquet")
    edges = []
    for _, item in xml.iterparse(work / "mean.xml"):
        if item.tag == "interval":
            for edge in item:
                row = {"begin": float(item.get("begin")), "id": edge.get("id")}
                for number in ["sampledSeconds", "timeLoss", "speed", "entered", "left"]:
                    row[number] = float(edge.get(number, "nan"))
                edges.append(row)
            item.clear()
    pd.DataFrame(edges).to_parquet(out / "edges.parquet")
    (out / "detectors.add.xml").write_bytes((work / "detectors.add.xml").read_bytes())
    for blockage in blockages:
        for stop in blockage["stops"]:
            stop["is_probe"] = stop["vehicle"] in is_probe
    (out / "blocked.json").write_text(json.dumps(blockages, indent=1))
    for path in work.iterdir():
        path.unlink()
    work.rmdir()


def flows_of(out):
    """Vehicles an hour that entered each edge of a quiet run, minutes 10 to 50."""
    edges = pd.read_parquet(out / "edges.parquet")
    begin = edges.begin.min()
    edges = edges[edges.begin.between(begin + 600, begin + 3000 - 1)]
    return (edges.groupby("id").entered.sum() * 60 / 40).to_dict()


def main(out, name, *seeds):
    out = pathlib.Path(out) / name
    net_file, _, _, begin, _, count = scenario(name)
    for seed in map(int, seeds):
        quiet, blocked = out / f"{seed}/quiet", out / f"{seed}/blocked"
        if not (quiet / "blocked.json").exists():
            run(name, seed, [], quiet)
        if not (blocked / "blocked.json").exists():
            net = sumolib.net.readNet(str(net_file))
            rng = random.Random(f"{name}/{seed}")
            run(name, seed, draw_blockages(net, flows_of(quiet), count, rng, begin), blocked)
        print(name, seed, "done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
