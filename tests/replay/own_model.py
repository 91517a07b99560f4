#!/usr/bin/env python3
"""Trains a model on hours of Bologna of our own and scores its forecasts of the recorded hour.

usage: own_model.py [SEED…]        default: 7 11 12 13 14 15 16 17; the recorded hour has seed 42

Each seed is an hour of the recorded one's demand times 0.85 to 1.15, nothing blocked
(tests/incidents/simulate.py). The hours are replayed as hours of workdays, with 10 and with 30 % of the
vehicles as probes, and archived as a service would archive them (with privacy.subjects_min = 1, there
being nobody behind them). `roadcast train` goes on from the bundled model with that archive. Prints the
error of forecasts of the recorded hour, from a cold start with 10 % of the vehicles, at 5, 10, 15 and 30
minutes, of the bundled model and of the one that was trained, in km/h as the scorer says it.

ROADCAST_BIN   binary to run (default target/release/roadcast)
ROADCAST_DATA  data folder (default ../shared/data), beside it the scorers
"""

import pathlib
import random
import shutil
import subprocess
import sys

import pandas as pd
from profiles import BINARY, RECORDED, replay, scored, simulate

OUT = pathlib.Path(__file__).resolve().parents[2] / "target/long/own-model"
SHARES = 0.10, 0.30
DEMAND = 0.85, 1.15
DAY_S = 86_400
MONDAY = 4  # 1970-01-05; the recorded hour is of a Thursday
DAYS_WORKED = 4  # Fridays differ
TRAINING = ["--split", "75/15/10", "--epochs", "6", "--steps", "100", "--spoil", "masked"]


def hour(seed):
    """The probes of one hour, 30 % of its vehicles."""
    run = OUT / str(seed)
    if not (run / "blocked.json").exists():
        simulate.SHARE = max(SHARES)
        simulate.run("bologna", seed, [], run, demand=random.Random(seed).uniform(*DEMAND))
    return pd.read_parquet(run / "probes.parquet")


def main(seeds):
    OUT.mkdir(parents=True, exist_ok=True)
    archive, model, config = OUT / "archive", OUT / "model", OUT / "config.toml"
    shutil.rmtree(archive, ignore_errors=True)
    config.write_text("[privacy]\nsubjects_min = 1\n")
    hours = [(seed, share) for seed in seeds for share in SHARES]
    for number, (seed, share) in enumerate(hours):
        probes = hour(seed)
        drawn = probes.id.map(lambda id_: random.Random(f"{seed}/{id_}").random()).astype(float)
        probes = probes[drawn < share]
        probes["t"] += DAY_S * (MONDAY + number // DAYS_WORKED * 7 + number % DAYS_WORKED)
        probes.to_parquet(OUT / "probes.parquet")
        replay(OUT / "probes.parquet", "--model", "baseline", "--archive", archive, "--config", config)
    network = simulate.scenario("bologna")[0]
    command = [BINARY, "train", "--dataset", archive, "--network", network, "--start", "bundled"]
    subprocess.run([*command, "--out", model, *TRAINING], check=True, stdout=subprocess.DEVNULL)
    forecasts = OUT / "forecasts.parquet"
    for name in ("bundled", model):
        replay(RECORDED / "probe_10.parquet", "--model", name, "--forecasts", forecasts)
        said = scored("score_forecast.py", "edges", forecasts, RECORDED / "edge60.parquet")
        print(f"{pathlib.Path(name).name}: {said}", flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [7, 11, 12, 13, 14, 15, 16, 17])
