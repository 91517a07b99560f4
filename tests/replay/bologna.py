#!/usr/bin/env python3
"""Replays the recorded hour of Bologna and holds the results against the truth.

Checks that every record is accounted for, that the digest depends neither on the run nor on
--shards nor on --batch nor on a detour through a real Mosquitto, that the state's error beats carrying
the last value forward, and that the forecasts' intervals hold what they promise, rolling.

ROADCAST_BIN   binary to run (default target/release/roadcast)
ROADCAST_DATA  data folder (default ../shared/data); without it the step is skipped, exit code 77
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from demo import free_port, running, until  # noqa: E402

BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
DATA = pathlib.Path(os.environ.get("ROADCAST_DATA", ROOT / "../shared/data")) / "bologna"
OUT = ROOT / "target/replay"
LIMIT_S = 600

# Error of carrying the last value forward, km/h, plain and weighted by sampled seconds: the bar.
FORWARD_FILL = {"05": (9.21, 6.35), "10": (6.87, 3.94), "30": (4.17, 1.80)}


def replay(probes, *options):
    report = OUT / "report.json"
    command = [
        BINARY, "replay",
        "--network", DATA / "scenario/joined_buslanes.net.xml.gz",
        "--input", DATA / f"recorded/probe_{probes}.parquet",
        "--report", report, *options,
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=LIMIT_S, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def through_mosquitto():
    """The report of a replay whose input went through a broker, and whose outputs went there."""
    port = free_port()
    config = OUT / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\n"
        "max_queued_messages 100000\nmax_inflight_messages 1000\n"
    )
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with running([mosquitto, "-c", config], OUT / "mosquitto.log"):
        until("Mosquitto accepts", 20, lambda: accepts(port))
        return replay("10", "--batch", "50", "--mqtt", f"mqtt://127.0.0.1:{port}")


def state_error(states, edges):
    """Mean absolute error of minute speeds, km/h, plain and weighted by sampled seconds; share of
    the truths inside the stated 90 % interval, of all and of those below half of the edge's 95 %
    quantile.

    Over edge-minutes sampled for 10 s or longer after minute 5. An edge of several segments has
    the speed of its whole length over its whole travel time.
    """
    truth = edges[~edges.id.str.startswith(":")]
    fast_mps = truth.groupby("id").speed.quantile(0.95)
    truth = truth[(truth.sampledSeconds >= 10) & (truth.begin >= 300) & truth.speed.notna()]
    travel = states.assign(
        begin=states.start.astype(float),
        travel_s=states.length_m / states.speed_mps.clip(lower=0.1),
        spread=states.sigma_mps * states.length_m,
    )
    edge = travel.groupby(["source_id", "begin"])[["length_m", "travel_s", "spread"]].sum()
    edge = pd.DataFrame(
        {"estimate": edge.length_m / edge.travel_s, "sigma": edge.spread / edge.length_m}
    ).reset_index()
    joined = truth.merge(edge, left_on=["id", "begin"], right_on=["source_id", "begin"], how="left")
    missing = joined.estimate.isna().mean()
    if missing > 0.01:
        raise AssertionError(f"{missing:.1%} of {len(joined)} edge-minutes have no state")
    joined = joined.dropna(subset=["estimate"])
    error_mps = (joined.estimate - joined.speed).abs()
    is_inside = error_mps <= 1.645 * joined.sigma
    is_slow = joined.speed < 0.5 * joined.id.map(fast_mps)
    weighted_mps = np.average(error_mps, weights=joined.sampledSeconds)
    return error_mps.mean() * 3.6, weighted_mps * 3.6, is_inside.mean(), is_inside[is_slow].mean()


def rolling_scores(report):
    """What the engine itself says at the end of its published forecasts: coverage of the 90 %
    interval of all truths, of congested ones, and of these 5 and 15 minutes ahead, and a line of text."""
    scores = {entry["forecaster"]: entry for entry in report["forecasts"]["forecasters"]}
    published = scores["published"]["all"]
    errors = ", ".join(f"{name} {entry['all']['mae_mps'] * 3.6:.2f}" for name, entry in scores.items())
    text = (
        f"rolling over {published['cells']:.0f} truths, {published['congested_cells']:.0f} congested:"
        f" in the 90 % interval {published['coverage_90']:.1%}, congested"
        f" {published['coverage_90_congested']:.1%}, 80 %: {published['coverage_80']:.1%};"
        f" mean width {published['width_90_mps'] * 3.6:.1f} km/h; errors in km/h {errors}"
    )
    horizons = {figures["minutes"]: figures for figures in scores["published"]["horizons"]}
    near = [horizons[minutes]["coverage_90_congested"] for minutes in (5, 15)]
    text += f", congested 5 and 15 minutes ahead {near[0]:.1%} and {near[1]:.1%}"
    return published["coverage_90"], published["coverage_90_congested"], near, text


def edge_coverage(forecasts, edges):
    """Share of the five-minute edge speeds of all traffic inside p05 to p95, for edges of one
    segment, issued on the five-minute marks from minute 15 on; of all and of those below 0.6 of the
    edge's 95 % quantile."""
    truth = edges[~edges.id.str.startswith(":") & edges.speed.notna()].copy()
    fast_mps = truth.groupby("id").speed.quantile(0.95)
    truth["start"] = truth.begin // 300 * 300
    truth["driven"] = truth.speed * truth.sampledSeconds
    five = truth.groupby(["id", "start"])[["driven", "sampledSeconds"]].sum()
    five = five[five.sampledSeconds >= 50]
    five = (five.driven / five.sampledSeconds).rename("speed").reset_index()
    issued = forecasts[(forecasts.issued_at % 300 == 0) & (forecasts.issued_at >= 900)]
    count = issued.groupby("source_id").segment.nunique()
    issued = issued[issued.source_id.map(count) == 1]
    joined = five.merge(issued, left_on=["id", "start"], right_on=["source_id", "start"])
    is_inside = (joined.speed >= joined.p05) & (joined.speed <= joined.p95)
    is_jam = joined.speed < 0.6 * joined.id.map(fast_mps)
    return is_inside.mean(), is_inside[is_jam].mean(), len(joined)


def main():
    if not DATA.is_dir():
        print(f"skipped: {DATA} is not there")
        sys.exit(77)
    OUT.mkdir(parents=True, exist_ok=True)
    problems = []

    runs = [[], [], []]
    runs += [["--shards", str(shards)] for shards in (1, 2, 4)]
    runs += [["--batch", str(batch)] for batch in (1, 64, 1000)]
    digests = {}
    reports = [(" ".join(options) or "as is", replay("10", *options)) for options in runs]
    reports.append(("through Mosquitto", through_mosquitto()))
    for name, report in reports:
        drops = sum(report["drops"].values())
        if report["records"] != report["used"] + drops or report["records"] == 0:
            problems.append(f"{report['records']} records, {report['used']} used, {drops} dropped")
        digests.setdefault(report["digest"], []).append(name)
    if len(digests) == 1:
        print(f"ok {len(reports)} runs, one digest: {next(iter(digests))}")
    else:
        problems.append(f"digests differ: {digests}")

    edges = pd.read_parquet(DATA / "recorded/edge60.parquet")
    for probes, bar in FORWARD_FILL.items():
        states = OUT / f"states_{probes}.parquet"
        forecasts = OUT / f"forecasts_{probes}.parquet"
        report = replay(probes, "--states", states, "--forecasts", forecasts)
        plain, weighted, inside, slow = state_error(pd.read_parquet(states), edges)
        text = (
            f"{int(probes)} % of vehicles: state error {plain:.2f} km/h, weighted {weighted:.2f};"
            f" last value carried forward {bar[0]}, {bar[1]};"
            f" in the 90 % interval {inside:.1%}, of slow ones {slow:.1%}"
        )
        # Stated uncertainty must be true: 88 to 92 % of all, and no less than 85 % of slow ones.
        is_calibrated = 0.88 <= inside <= 0.92 and slow >= 0.85
        if plain < bar[0] and weighted < bar[1] and is_calibrated:
            print(f"ok {text}")
        else:
            problems.append(text)
        wide, slow, near, text = rolling_scores(report)
        of_all, of_jams, count = edge_coverage(pd.read_parquet(forecasts), edges)
        text = (
            f"{int(probes)} % of vehicles: forecasts {text};"
            f" of {count} five-minute speeds of all traffic {of_all:.1%}, congested {of_jams:.1%}"
        )
        # An hour is too short to learn the far steps well.
        if 0.88 <= wide <= 0.925 and slow >= 0.83 and min(near) >= 0.88:
            print(f"ok {text}")
        else:
            problems.append(text)

    for problem in problems:
        print(f"FAILED {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
