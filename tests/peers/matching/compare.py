"""Compares `roadcast match` with Valhalla's Meili; writes a Markdown table.

  compare.py --bin target/release/roadcast --data ../shared/data --scorer ../shared/score/score_match.py
             --out docs/matching-accuracy.md [--fixes 1000000] [--peer-fixes 1000000] [--only-peer]

Scores of Meili are kept under --work for the next run: only roadcast changes from day to day.
"""
import argparse
import csv
import datetime
import gzip
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys

import meili

CITIES = ["poa", "heidelberg"]
INTERVALS_S = [1, 5, 15, 30]
# What is asked of roadcast with kinematics at lag 2, both cities together: accuracy, RMF in %.
TARGETS = {
    (5, 1): (0.945, 1.0), (5, 5): (0.950, 0.46), (5, 15): (0.945, 0.42),
    (10, 1): (0.920, 2.0), (10, 5): (0.925, 0.96), (10, 15): (0.920, 0.82), (10, 30): (0.905, 2.0),
    (20, 1): (0.820, 8.0), (20, 5): (0.860, 4.0), (20, 15): (0.860, 2.5),
}
SPEED_SIGMA_M = 10
MATCHERS = ["roadcast", "roadcast, positions only", "Meili, defaults", "Meili, tuned"]


def subsample(source, interval_s, out):
    """Keeps the first fix of a trace, then each next one at least `interval_s` after the last kept."""
    last = {}
    columns = ["trace_id", "t", "lon", "lat", "speed_mps", "heading_deg"]
    with gzip.open(source, "rt") as file, open(out, "w", newline="") as kept:
        rows = csv.writer(kept)
        rows.writerow(columns)
        for row in csv.DictReader(file):
            trace, t = row["trace_id"], float(row["t"])
            if trace not in last or t >= last[trace] + interval_s:
                last[trace] = t
                rows.writerow([row[column] for column in columns])


def repeat(source, fixes_min, out):
    """Repeats traces under new ids until there are at least `fixes_min` fixes; returns how many."""
    with open(source) as file:
        head, *lines = file.read().splitlines()
    rounds = -(-fixes_min // len(lines))
    with open(out, "w") as file:
        file.write(head + "\n")
        for number in range(rounds):
            file.writelines(f"{number}-{line}\n" for line in lines)
    return rounds * len(lines)


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Comparison:
    def __init__(self, args):
        self.args = args
        self.work = args.work
        os.makedirs(self.work, exist_ok=True)
        self.tiles, self.ways, self.networks = {}, {}, {}
        for city in CITIES:
            extract = f"{args.data}/networks/{city}.osm.pbf"
            self.networks[city] = f"{self.work}/{city}.rcn"
            run([args.bin, "network", "build", "--from", extract, "--out", self.networks[city]])
            self.tiles[city] = meili.build(extract, f"{self.work}/tiles")
            self.ways[city] = meili.Ways(extract)

    def traces(self, city, sigma_m, interval_s):
        out = f"{self.work}/{city}_s{sigma_m}_{interval_s}s.csv"
        if not os.path.exists(out):
            source = f"{self.args.data}/traces/{city}_s{sigma_m}.csv.gz"
            subsample(source, interval_s, f"{out}.{os.getpid()}")
            os.replace(f"{out}.{os.getpid()}", out)
        return out

    def match(self, matcher, city, sigma_m, traces, rows, routes):
        """Matches and returns what the command printed."""
        if matcher.startswith("Meili"):
            tuned_m = sigma_m if matcher.endswith("tuned") else 0
            meili.match(self.tiles[city], tuned_m, traces, self.ways[city], rows, routes)
            return ""
        command = [self.args.bin, "match", "--network", self.networks[city], "--traces", traces]
        command += ["--out", rows, "--routes", routes, "--lag", "2", "--sigma", str(sigma_m)]
        return run(command + ["--no-kinematics"] * (matcher != "roadcast"))

    def score_city(self, matcher, city, sigma_m, interval_s):
        """(accuracy, wrong metres, true metres, fixes) of one city."""
        name = f"{matcher.replace(', ', '-').replace(' ', '-')}_{city}_s{sigma_m}_{interval_s}s"
        known = f"{self.work}/{name}.json"
        if matcher.startswith("Meili") and os.path.exists(known):
            with open(known) as file:
                return json.load(file)
        traces = self.traces(city, sigma_m, interval_s)
        rows, routes = f"{self.work}/{name}.csv", f"{self.work}/{name}.jsonl"
        self.match(matcher, city, sigma_m, traces, rows, routes)
        data = self.args.data
        truth = [f"{data}/traces/{city}_s{sigma_m}.csv.gz", f"{data}/traces/{city}_routes.jsonl.gz"]
        extract = f"{data}/networks/{city}.osm.pbf"
        scorer = [sys.executable, self.args.scorer, *truth, str(interval_s), rows, routes, extract]
        score = list(map(float, run(scorer).split()))
        with open(known, "w") as file:
            json.dump(score, file)
        return score

    def score(self, matcher, sigma_m, interval_s):
        """Accuracy and RMF in % of each city, then of both."""
        sums, cells = [0.0] * 4, []
        for city in CITIES:
            accuracy, wrong_m, true_m, fixes = self.score_city(matcher, city, sigma_m, interval_s)
            cells.append((accuracy, 100 * wrong_m / true_m))
            parts = (accuracy * fixes, fixes, wrong_m, true_m)
            sums = [total + part for total, part in zip(sums, parts)]
        return cells + [(sums[0] / sums[1], 100 * sums[2] / sums[3])]

    def speeds(self, city, interval_s):
        """Fixes a CPU second: roadcast, Meili's defaults, Meili tuned."""
        traces = self.traces(city, SPEED_SIGMA_M, interval_s)
        many = f"{self.work}/many.csv"
        repeat(traces, self.args.fixes, many)
        summary = self.match(
            "roadcast", city, SPEED_SIGMA_M, many, f"{self.work}/rows.csv", f"{self.work}/routes.jsonl"
        )
        rates = [float(re.search(r"([0-9.]+) fixes/s", summary).group(1))]
        for sigma_m in (0, SPEED_SIGMA_M):
            command = [sys.executable, meili.__file__, self.tiles[city], str(sigma_m), traces]
            cpu_s, fixes = json.loads(run([*command, str(self.args.peer_fixes)]))
            rates.append(fixes / cpu_s)
        return rates


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.machine()


def accuracy_table(comparison, out):
    out.write("| sigma | interval | asked |" + "".join(f" {name} |" for name in MATCHERS) + "\n")
    out.write("| --- " * (3 + len(MATCHERS)) + "|\n")
    for sigma_m in (5, 10, 20):
        for interval_s in INTERVALS_S:
            target = TARGETS.get((sigma_m, interval_s))
            asked = "–" if not target else f"{target[0]:.3f} / {target[1]:.2f}"
            cells = []
            for matcher in MATCHERS:
                *cities, both = comparison.score(matcher, sigma_m, interval_s)
                detail = "; ".join(f"{a:.3f} / {r:.2f}" for a, r in cities)
                cells.append(f"**{both[0]:.4f} / {both[1]:.2f}** ({detail})")
            out.write(f"| {sigma_m} m | {interval_s} s | {asked} | " + " | ".join(cells) + " |\n")
            out.flush()
            print(f"sigma {sigma_m} m, {interval_s} s:", *cells, flush=True)


def speed_table(comparison, out):
    out.write("| city | interval | roadcast | Meili, defaults | Meili, tuned | ratio to the faster |\n")
    out.write("| --- " * 6 + "|\n")
    for city in CITIES:
        for interval_s in INTERVALS_S:
            ours, *theirs = comparison.speeds(city, interval_s)
            rates = " | ".join(f"{rate:,.0f}".replace(",", " ") for rate in [ours, *theirs])
            out.write(f"| {city} | {interval_s} s | {rates} | {ours / max(theirs):.1f} |\n")
            out.flush()
            print(city, interval_s, rates, f"{ours / max(theirs):.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--bin", "--data", "--scorer", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--work", default="target/long/matching")
    parser.add_argument("--fixes", type=int, default=1_000_000)
    parser.add_argument("--peer-fixes", type=int, default=1_000_000)
    parser.add_argument("--revision", default="")
    parser.add_argument("--only-peer", action="store_true", help="score Meili and stop")
    parser.add_argument("--sigmas", default="5,10,20", help="which sigmas --only-peer scores")
    args = parser.parse_args()
    comparison = Comparison(args)
    if args.only_peer:
        for sigma_m in map(int, args.sigmas.split(",")):
            for interval_s in reversed(INTERVALS_S):
                for matcher in MATCHERS[2:]:
                    print(matcher, sigma_m, interval_s, comparison.score(matcher, sigma_m, interval_s), flush=True)
        return
    versions = f"{run([args.bin, '--version'])} {args.revision}".strip()
    peer = importlib.metadata.version("pyvalhalla")
    count = lambda number: f"{number:,}".replace(",", " ")
    with open(args.out + ".new", "w") as out:
        out.write(f"""# Matching accuracy

Made by `tests/long peers matching` on {datetime.date.today()}; {versions}, pyvalhalla {peer}, Python {platform.python_version()}; {processor()}. Do not edit.

## Accuracy / RMF

Share of fixes on the right way and direction / route metres missed or invented per true route metre in %, over both cities together (Porto Alegre; Heidelberg). 60 synthetic traces a city on OpenStreetMap extracts; position noise per axis as stated, 70 % of its variance correlated over 30 s. Scored by `score_match.py`. Roadcast answers with a lag of two fixes, Meili sees the whole trace. "Positions only" is `--no-kinematics`; Meili uses positions and times. Tuned: `sigma_z` and `gps_accuracy` = sigma, `search_radius` = 4 sigma between 50 and 100 m, `interpolation_distance` = 2 sigma. "Asked" is what roadcast with speed and heading is held to.

""")
        accuracy_table(comparison, out)
        out.write(f"""
## Fixes a CPU second

Sigma {SPEED_SIGMA_M} m, one thread, from a cold start: traces repeated under new ids up to {count(args.fixes)} fixes for roadcast and {count(args.peer_fixes)} for Meili. Roadcast: as its summary says, matching without reading and writing files. Meili: loading tiles and answering prepared requests.

""")
        speed_table(comparison, out)
    shutil.move(args.out + ".new", args.out)


if __name__ == "__main__":
    main()
