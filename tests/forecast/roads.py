"""Draws road networks for SUMO, and chooses the routes of their traffic. For networks.py.

Needs netconvert. Everything is drawn from the generators that are passed in.
"""

import heapq
import pathlib
import subprocess
import zlib
from typing import NamedTuple

import numpy as np
import sumolib

# Vehicles an hour and lane that a motorway and an approach to a signal carry, about; and how many a
# lane of a motorway or a ramp is planned for.
LANE_VPH, SIGNAL_VPH, PLANNED_VPH = 2100, 750, {"motorway": 2450, "ramp": 1300}
# Form, size, demand (1: one edge in ten is asked for more than it carries), by how much demand has grown
# since lanes and routes were planned, and metres over which the weights of the graph fall; 0: only edges
# that follow on one another are neighbours.
DRAWN = {
    "grid": ("town", (7, 6, False), 1.1, 1.0, 0),
    "rings": ("town", (10, 6, True), 0.85, 1.0, 0),
    "blocks": ("town", (9, 9, False, 0.4), 1.0, 1.0, 0),
    "motorway-a": ("motorway", (1, 32_000), 0.75, 1.1, 3000),
    "motorway-b": ("motorway", (1, 24_000), 0.75, 1.0, 3000),
    "motorway-c": ("motorway", (2, 20_000), 0.75, 1.12, 0),
}


class Road(NamedTuple):
    """A directed edge. What the road is planned with comes first, what netconvert adds comes last."""

    id: str
    start: str
    end: str
    lanes: int
    kmh: float
    kind: str
    length_m: float = 0.0
    is_signalised: bool = False

    @property
    def is_motorway(self):
        return self.kind in ("motorway", "ramp", "hub ramp")


class Network(NamedTuple):
    file: pathlib.Path
    roads: dict  # by id
    following: dict  # ids by id
    incidents: float = 1.3  # a day, about

    @property
    def is_motorway(self):
        return any(road.is_motorway for road in self.roads.values())


class Route(NamedTuple):
    """Vehicles an hour over a row of edges: in the morning's peak, in the evening's, and otherwise."""

    edges: list
    morning: float
    evening: float
    between: float


def draw_town(rng, columns, rows, is_round, scale=1.0):
    """Streets at right angles, or rings and arms; some are arterials. They go on into the country."""
    x, y = (np.cumsum(scale * rng.uniform(230, 420, count + 2)) for count in (columns, rows))
    wide = [set(rng.choice(count, 2 + count // 9, replace=False)) for count in (columns, rows)]
    nodes, roads = {}, []
    for along, count, ends in ((0, columns, rows), (1, rows, columns)):
        for line in range(count):
            kind, lanes, kmh = "tertiary", int(rng.integers(1, 3)), rng.choice([40, 50])
            if line in wide[along]:
                kind, lanes, kmh = "primary", int(rng.integers(2, 4)), rng.choice([60, 70])
            if is_round:  # arms end at the inner ring, and rings in themselves
                steps = range(ends + 1) if along == 0 else [*range(ends), 0]
            else:
                steps = range(-1, ends + 1)
            places = [(line, step) if along == 0 else (step, line) for step in steps]
            for i, j in places:
                is_inner = 0 <= i < columns and 0 <= j < rows
                signal = is_inner and (i in wide[0] or j in wide[1] or rng.random() < 0.5)
                at = np.array([x[i + 1 if i < columns else -1], y[j + 1 if j < rows else -1]])
                at += 300 * np.array([(i == columns) - (i < 0), (j == rows) - (j < 0)]) + rng.normal(0, 20, 2)
                if is_round:
                    angle = 2 * np.pi * (i + rng.uniform(-0.2, 0.2)) / columns
                    at = at[1] * np.array([np.cos(angle), np.sin(angle)])
                nodes.setdefault(f"{i}/{j}", (*at, signal))
            names = [f"{i}/{j}" for i, j in places]
            for a, b in [*zip(names, names[1:]), *zip(names[1:], names)]:
                roads.append(Road(f"{a}_{b}", a, b, lanes, kmh, kind))
    return nodes, roads


def draw_motorway(rng, roads, length_m):
    """Carriageways with ramps every 1 to 3 km; two motorways meet at `hub`, where all may change."""
    nodes, edges = {}, []
    for name in [f"{road}{way}" for road in range(roads) for way in "+-"]:
        at, next_ramp, last = 0.0, rng.uniform(1200, 2000), None
        leaves, to_meet, is_hub = True, roads > 1, False

        def place(number, aside):
            way = 1 if name[1] == "+" else -1
            along, across = length_m / 2 + way * (at - length_m / 2), -way * (20 + aside)
            turned = length_m / 2 - across, along - length_m / 2
            nodes[f"{name}{number}"] = (*((along, across) if name[0] == "0" else turned), False)
            return f"{name}{number}"

        while at < length_m:
            here = place(len(nodes), 0)
            if last:
                kmh = round(rng.normal(112, 3), 1)
                edges.append(Road(f"m{here}", last, here, 3, kmh, "motorway"))
            if last and next_ramp < at < length_m - 800:
                if leaves:
                    is_hub = to_meet and at > length_m / 2 - 600
                    to_meet &= not is_hub
                other = "hub" if is_hub else place(len(nodes), 150)
                ends, kind = (here, other) if leaves else (other, here), "hub ramp" if is_hub else "ramp"
                edges.append(Road(f"r{here}", *ends, 1, 60, kind))
                next_ramp = at if leaves else at + rng.uniform(700, 2200)
                leaves = not leaves
            last = here
            at += rng.uniform(420, 880)
    if roads > 1:
        nodes["hub"] = (length_m / 2 + 300, 300, False)
    return nodes, edges


def netconvert(nodes, roads, out):
    """Makes the network of the drawn nodes and roads."""
    rank = {"motorway": 9, "primary": 7}
    kinds = {True: "traffic_light", False: "priority"}
    lines = [f'<node id="{id_}" x="{x:.1f}" y="{y:.1f}" type="{kinds[bool(s)]}"/>' for id_, (x, y, s) in nodes.items()]
    (out / "plain.nod.xml").write_text("\n".join(["<nodes>", *lines, "</nodes>"]))
    lines = [
        f'<edge id="{road.id}" from="{road.start}" to="{road.end}" numLanes="{road.lanes}" '
        f'speed="{road.kmh / 3.6:.2f}" priority="{rank.get(road.kind, 3)}"/>'
        for road in roads
    ]
    (out / "plain.edg.xml").write_text("\n".join(["<edges>", *lines, "</edges>"]))
    command = ["netconvert", "-n", "plain.nod.xml", "-e", "plain.edg.xml", "-o", "net.net.xml"]
    subprocess.run([*command, "--no-turnarounds", "--no-warnings"], cwd=out, check=True, stdout=subprocess.DEVNULL)
    return read_network(out / "net.net.xml", {road.id: road.kind for road in roads})


def read_network(file, kinds):
    """The roads that cars use and what follows on each; nobody changes to the other way of a motorway."""
    roads, following = {}, {}
    for edge in sumolib.net.readNet(str(file)).getEdges():
        if edge.allows("passenger"):
            id_, kmh = edge.getID(), edge.getSpeed() * 3.6
            lanes = sum(lane.allows("passenger") for lane in edge.getLanes())
            kind = kinds.get(id_) or ("primary" if kmh > 55 else "secondary" if lanes > 1 else "tertiary")
            ends = edge.getFromNode().getID(), edge.getToNode().getID()
            signal = edge.getToNode().getType().startswith("traffic_light")
            roads[id_] = Road(id_, *ends, lanes, kmh, kind, edge.getLength(), signal)
            others = sorted(other.getID() for other in edge.getOutgoing() if other.allows("passenger"))
            is_back = [kind == kinds.get(other) == "hub ramp" and id_[1] == other[1] for other in others]
            following[id_] = [other for other, back in zip(others, is_back) if not back]
    return Network(file, roads, following)


def nearest(network, start, cost, limit=float("inf"), through=lambda _: True):
    """What the way from the start of `start` to that of every other edge costs, and what comes before it."""
    costs, before, queue = {start: 0.0}, {}, [(0.0, start)]
    while queue:
        so_far, edge = heapq.heappop(queue)
        if so_far > costs[edge] or (edge != start and not through(edge)):
            continue
        for other in network.following[edge]:
            total = so_far + cost(edge)
            if total < min(costs.get(other, float("inf")), limit):
                costs[other], before[other] = total, edge
                heapq.heappush(queue, (total, other))
    return costs, before


def draw_trips(rng, network):
    """Origin, destination and relative demand (morning, evening), by gravity and drawn sizes."""
    roads, following = network.roads, network.following
    entered = {other for others in following.values() for other in others}
    inner = [] if network.is_motorway else sorted(rng.choice(sorted(roads), len(roads) // 5, replace=False))
    starts = [id_ for id_ in roads if id_ not in entered and following[id_]] + inner
    ends = [id_ for id_ in roads if not following[id_] and id_ in entered] + inner
    homes, work = (dict(zip(roads, rng.lognormal(0, 0.7, len(roads)))) for _ in range(2))
    least_m, fall_m = (2500, 12_000) if network.is_motorway else (900, 2500)

    def size(id_):
        return {"motorway": 8, "primary": 3}.get(roads[id_].kind, 1) if id_ not in inner else 1

    trips = []
    for start in starts:
        far, _ = nearest(network, start, lambda edge: roads[edge].length_m)
        for end in ends:
            if far.get(end, 0) >= least_m and roads[start].start != roads[end].end:
                over_hub = network.is_motorway and start[1] != end[1]
                weight = size(start) * size(end) * np.exp(-far[end] / fall_m) * (0.4 if over_hub else 1)
                trips.append((start, end, weight * homes[start] * work[end], weight * work[start] * homes[end]))
    return trips


def choose_routes(rng, network, peak, most=400):
    """Loads up to `most` drawn trips one after another, each on the way that is quickest with those
    before it, so that every tenth edge is asked for more than `peak` times what it carries."""
    trips = draw_trips(rng, network)
    demand = np.array([max(trip[2:]) for trip in trips])
    keep = rng.choice(len(trips), min(most, len(trips)), replace=False, p=demand / demand.sum())
    roads = network.roads
    carries = {id_: road.lanes * (SIGNAL_VPH if road.is_signalised else LANE_VPH) for id_, road in roads.items()}
    scale = 3000 / demand.sum()
    for _ in range(4):
        loads, routes = {id_: np.zeros(2) for id_ in roads}, []
        for start, end, *rates in (trips[index] for index in keep):

            def cost(edge):
                crowded = min((loads[edge].max() / carries[edge]) ** 4, 20)
                return roads[edge].length_m / roads[edge].kmh * (1 + 0.5 * crowded)

            _, before = nearest(network, start, cost)
            way = [end]
            while way[-1] != start:
                way.append(before[way[-1]])
            rates = scale * np.array(rates)
            for edge in way:
                loads[edge] += rates
            routes.append(Route(way[::-1], *rates, rates.mean()))
        scale *= peak / np.quantile([loads[id_].max() / carries[id_] for id_ in roads if loads[id_].any()], 0.9)
    return routes, loads


def make(name, out):
    """A drawn network and its routes. Motorways get about the lanes that they need, or one too few."""
    form, size, peak, growth, _ = DRAWN[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    nodes, roads = (draw_town if form == "town" else draw_motorway)(rng, *size)
    network = netconvert(nodes, roads, out)
    routes, loads = choose_routes(rng, network, peak)
    if form == "motorway":
        for index, road in enumerate(roads):
            wanted = loads[road.id].max() / PLANNED_VPH[road.kind.split()[-1]]
            is_ramp = road.kind != "motorway"
            lanes = 1 + (wanted > 1) if is_ramp else np.clip(round(wanted + rng.normal(0, 0.25)), 2, 4)
            roads[index] = road._replace(lanes=int(lanes))
        network = netconvert(nodes, roads, out)
    if form == "town":  # there they are small, and much is to be learnt from them
        network = network._replace(incidents=7.0)
    return network, [Route(route.edges, *(growth * rate for rate in route[1:])) for route in routes]


def given_routes(file, network, peak):
    """The routes of the vehicles of an hour, where cars use them."""
    ways = [tuple(vehicle.route[0].edges.split()) for vehicle in sumolib.xml.parse(str(file), ["vehicle"])]
    rates = {way: peak * ways.count(way) for way in sorted(set(ways)) if all(edge in network.roads for edge in way)}
    return [Route(list(way), rate, rate, rate) for way, rate in rates.items()]
