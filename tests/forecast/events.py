#!/usr/bin/env python3
"""What it is worth to a network to be told of open incidents.

usage: events.py DATASET MODEL

Backtests MODEL over the dataset folder as it is, and without its events.csv. For windows issued while an
incident lasts it prints the mean absolute error of the medians on the segment of the incident and on those
one to three segments before it by graph.csv, told of it and not, in the unit of the data.

ROADCAST_BIN   binary to run (default target/release/roadcast)
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
HOPS = 4


def medians(dataset, model, out):
    """The median of every test window, step and column."""
    command = [BINARY, "backtest", "--dataset", dataset, "--model", model]
    command += ["--report", out / "report.json", "--predictions", out / "said.parquet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    said = pd.read_parquet(out / "said.parquet", columns=["issued_row", "step", "sensor", "p50"])
    return said.astype({"sensor": str}).set_index(["issued_row", "step", "sensor"]).p50


def main(dataset, model):
    series = pd.read_csv(dataset / "series.csv.gz", parse_dates=["time"])
    events = pd.read_csv(dataset / "events.csv", parse_dates=["from", "until"])
    before = pd.read_csv(dataset / "graph.csv", dtype=str).groupby("to")["from"].agg(set)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bare = folder / "bare"
        bare.mkdir()
        for file in set(dataset.glob("*.*")) - {dataset / "events.csv"}:
            (bare / file.name).symlink_to(file.resolve())
        said = pd.DataFrame({"told": medians(dataset, model, folder), "not told": medians(bare, model, folder)})
    said = said.reset_index()
    column = {name: index for index, name in enumerate(series.columns)}
    cells = series.to_numpy()[said.issued_row + said.step, said.sensor.map(column)].astype(float)
    hop = np.full(len(said), -1)
    first, step_s = series.time[0], (series.time[1] - series.time[0]).total_seconds()
    for event in events[events.kind == "incident"].to_dict("records"):
        begin, end = ((event[key] - first).total_seconds() / step_s for key in ("from", "until"))
        lasts, segments = said.issued_row.between(begin, end, inclusive="left"), {event["segment"]}
        for hops in range(HOPS):
            hop[lasts & said.sensor.isin(segments) & (hop < 0)] = hops
            segments = set().union(*(before.get(segment, set()) for segment in segments))
    for hops in range(HOPS):
        errors = [(said[column] - cells)[hop == hops].abs().mean() for column in ("told", "not told")]
        change = 100 * (errors[0] / errors[1] - 1)
        print(f"{hops} segments before it: told {errors[0]:.3f}, not told {errors[1]:.3f}, {change:+.1f} %")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
