#!/usr/bin/env python3
"""Scores incident detection on the hours that simulate.py made.

usage: campaign.py RUNS [--seeds A-B] [--profiles] [--replayed NAME]

Every hour of RUNS/NETWORK/SEED/{quiet,blocked} is replayed by `roadcast replay --incidents` from a
cold start (no profile of the network), or, with --profiles, with profiles learnt on the quiet hours
of the other seeds; these are learnt once and kept (RUNS/NETWORK/SEED/profiles.rcp). With --replayed
nothing is replayed: the changes that stand in the files NAME beside the hours are scored.

What is counted. A blockage begins when its first vehicle stands and ends when it may drive on; a
drawn one for which no vehicle came is none. It *matters* where road users lose at least LOSS_S s
more than in the same hour without it, on the blocked edge and the edges that lead into it, over the
minutes that overlap it. An incident of ours *matches* a blockage when its edge is the blocked one or
a neighbour (an edge that leads into it, or that it leads into), and it is confirmed between begin
and end, to the second. Detected: some incident matches. Delay: from begin to the `at` of the first
change to `confirmed`. False alarm: an incident confirmed in a quiet hour, and in a blocked hour one
that is confirmed before any blockage, that lies on none, next to none and not within 600 m upstream
of one (its queue), or that is confirmed later than AFTER_S s after its end.

ROADCAST_BIN   binary to run (default target/release/roadcast)
ROADCAST_DATA  data folder (default ../shared/data)
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import sumolib

from simulate import ROOT, scenario

BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
LOSS_S, AFTER_S, UPSTREAM_M = 900.0, 600.0, 600.0


def replay(network, run, out, *options):
    inputs = [run / name for name in ("probes.parquet", "e1.parquet", "e2.parquet")]
    command = [
        BINARY, "replay", "--network", network, "--input", *[p for p in inputs if p.exists()],
        "--detectors", run / "detectors.add.xml", "--model", "baseline", "--incidents", out, *options,
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=900, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in out.read_text().splitlines()]


def loss_s(run, edges, begin, end):
    table = pd.read_parquet(run / "edges.parquet")
    table = table[table.id.isin(edges) & (table.begin + 60 > begin) & (table.begin < end)]
    return table.timeLoss.sum()


def neighbours(net, edge):
    edge = net.getEdge(edge)
    return {other.getID() for other in [*edge.getIncoming(), *edge.getOutgoing()]} | {edge.getID()}


def upstream(net, edge):
    """Edges within UPSTREAM_M upstream."""
    found, waiting = {}, [(net.getEdge(edge), 0.0)]
    while waiting:
        here, walked = waiting.pop()
        if found.get(here.getID(), 1e9) <= walked or walked > UPSTREAM_M:
            continue
        found[here.getID()] = walked
        waiting += [(other, walked + other.getLength()) for other in here.getIncoming()]
    return set(found)


def changes_of(net_file, run, options, replayed):
    if replayed:
        return [json.loads(line) for line in (run / replayed).read_text().splitlines()]
    return replay(net_file, run, run / "incidents.jsonl", *options)


def score(root, seeds, with_profiles, replayed):
    blockages, alarms, rows = [], [], []
    hours = kilometre_hours = 0.0
    for network in sorted(path.name for path in root.iterdir() if path.is_dir()):
        net_file = scenario(network)[0]
        net = sumolib.net.readNet(str(net_file))
        km = sum(edge.getLength() for edge in net.getEdges() if edge.allows("passenger")) / 1000
        mine = sorted(int(path.name) for path in (root / network).iterdir() if path.is_dir())
        for seed in (seed for seed in mine if seed in seeds):
            folder = root / network / str(seed)
            if not (folder / "blocked/blocked.json").exists():
                continue
            options = []
            if with_profiles:
                options = ["--profiles", profiles(root, network, net_file, seed, mine)]
            for kind in ("quiet", "blocked"):
                run = folder / kind
                changes = changes_of(net_file, run, options, replayed)
                confirmed = {}
                for change in changes:
                    if change["state"] == "confirmed":
                        confirmed.setdefault(change["id"], change)
                truth = [b for b in json.loads((run / "blocked.json").read_text()) if b["stops"]]
                explained = set()
                for blockage in truth:
                    begin = min(stop["at"] for stop in blockage["stops"])
                    end = blockage["onset"] + blockage["duration"]
                    near = neighbours(net, blockage["edge"])
                    inflow = {e.getID() for e in net.getEdge(blockage["edge"]).getIncoming()}
                    lost = [
                        loss_s(folder / which, inflow | {blockage["edge"]}, begin, end)
                        for which in ("blocked", "quiet")
                    ]
                    hits = [
                        change["at"] - begin
                        for change in confirmed.values()
                        if change["source_id"] in near and begin <= change["at"] <= end
                    ]
                    queue = upstream(net, blockage["edge"]) | near
                    explained |= {
                        id_
                        for id_, change in confirmed.items()
                        if change["source_id"] in queue and begin <= change["at"] <= end + AFTER_S
                    }
                    blockages.append({
                        "network": network, "seed": seed, "edge": blockage["edge"],
                        "lanes": f"{len(blockage['stops'])}/{blockage['of']}",
                        "closed": len(blockage["stops"]) == blockage["of"],
                        "loss_s": lost[0] - lost[1], "delay_s": min(hits) if hits else np.nan,
                        "before_end_m": blockage["length"] - blockage["pos"],
                    })  # fmt: skip
                hours += 1
                kilometre_hours += km
                for id_, change in confirmed.items():
                    if id_ not in explained:
                        alarms.append((network, seed, kind, change["source_id"], change["at"]))
                rows.append((network, seed, kind, len(confirmed), len(changes)))
    columns = ["network", "seed", "edge", "lanes", "closed", "loss_s", "delay_s", "before_end_m"]
    return pd.DataFrame(blockages, columns=columns), alarms, rows, hours, kilometre_hours


def profiles(root, network, net_file, seed, seeds):
    """Profiles learnt on the quiet hours of up to four other seeds, one after the other; kept."""
    path = root / network / str(seed) / "profiles.rcp"
    if path.exists():
        return path
    unfinished, known = path.with_suffix(".part"), []
    for other in [other for other in seeds if other != seed][:4]:
        run = root / network / str(other) / "quiet"
        if (run / "blocked.json").exists():
            replay(net_file, run, run / "learn.jsonl", *known, "--profiles-out", unfinished)
            known = ["--profiles", unfinished]
    if not known:
        sys.exit(f"no quiet hour of another seed of {network} to learn profiles from")
    unfinished.rename(path)
    return path


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("runs", type=pathlib.Path)
    arguments.add_argument("--seeds", default="1-1000")
    arguments.add_argument("--profiles", action="store_true")
    arguments.add_argument("--replayed")
    options = arguments.parse_args()
    first, last = map(int, options.seeds.split("-"))
    table, alarms, rows, hours, km_hours = score(
        options.runs, range(first, last + 1), options.profiles, options.replayed
    )
    if not rows:
        sys.exit("no hours of these seeds")
    print(table.to_string(float_format="%.0f"))
    for alarm in alarms:
        print("false alarm:", *alarm)
    matters = table[table.loss_s >= LOSS_S]
    parts = [("all", table), ("where it matters", matters)]
    parts += [(f"  {name}", part) for name, part in matters.groupby("network")]
    parts += [(f"  {name}", matters[matters.closed == is_closed])
              for name, is_closed in [("all lanes", True), ("some lanes", False)]]  # fmt: skip
    for name, part in parts:
        if part.empty:
            print(f"{name}: 0 blockages")
            continue
        delays = part.delay_s.dropna() / 60
        print(
            f"{name}: {len(part)} blockages, detected {len(delays)} ({len(delays) / len(part):.1%})"
            + (
                f", median delay {delays.median():.1f} min, 90 % within {delays.quantile(0.9):.1f} min"
                if len(delays)
                else ""
            )
        )
    for name, kinds in [("quiet", ["quiet"]), ("all", ["quiet", "blocked"])]:
        count = sum(row[2] in kinds for row in rows)
        wrong = sum(alarm[2] in kinds for alarm in alarms)
        # Each quiet hour has a blocked one of the same network beside it.
        driven = km_hours * count / hours
        print(
            f"{name} hours: {count} with {wrong} false alarms, "
            f"{wrong / driven * 10:.3f} per 10 km and hour"
        )


if __name__ == "__main__":
    sys.exit(main())
