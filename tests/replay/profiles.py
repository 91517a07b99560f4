#!/usr/bin/env python3
"""Learns profiles of Bologna from hours of our own and scores the recorded hour with and without them.

usage: profiles.py [SEED…]        default: 7 11 12 13; the recorded hour has seed 42

Each seed is an hour of the same demand (tests/incidents/simulate.py, nothing blocked) with 30 % of
the vehicles as probes; 10 and 5 % are parts of them. The hours are replayed one after the other, each
starting with the profiles of those before, and the recorded hour after the last. Prints for 5, 10 and
30 % the error of states (plain, weighted by sampled seconds) and, for 10 %, that of forecasts at 5, 10,
15 and 30 minutes for the baseline and the default model, all in km/h, as the scorers say it.

ROADCAST_BIN   binary to run (default target/release/roadcast)
ROADCAST_DATA  data folder (default ../shared/data), beside it the scorers
"""

import os
import pathlib
import random
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/incidents"))
import pandas as pd  # noqa: E402
import simulate  # noqa: E402

BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
SCORE = simulate.DATA.parent / "score"
RECORDED = simulate.DATA / "bologna/recorded"
OUT = ROOT / "target/long/profiles"
SHARES = {"05": 0.05, "10": 0.10, "30": 0.30}


def hours(seeds):
    """Makes the hours that are missing, and the files of each share."""
    simulate.SHARE = max(SHARES.values())
    for seed in seeds:
        run = OUT / str(seed)
        if not (run / "blocked.json").exists():
            simulate.run("bologna", seed, [], run)
        probes = pd.read_parquet(run / "probes.parquet")
        drawn = {id_: random.Random(f"{seed}/{id_}").random() for id_ in probes.id.cat.categories}
        for name, share in SHARES.items():
            probes[probes.id.map(drawn).astype(float) < share].to_parquet(run / f"probe_{name}.parquet")


def replay(probes, *options):
    command = [BINARY, "replay", "--network", simulate.scenario("bologna")[0], "--input", probes, *options]
    subprocess.run(command, check=True, timeout=900, stdout=subprocess.DEVNULL)


def scored(script, *arguments):
    command = [sys.executable, SCORE / script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(seeds):
    OUT.mkdir(parents=True, exist_ok=True)
    hours(seeds)
    truth, states, forecasts = RECORDED / "edge60.parquet", OUT / "states.parquet", OUT / "forecasts.parquet"
    for name in SHARES:
        profiles = OUT / f"profiles_{name}.rcp"
        profiles.unlink(missing_ok=True)
        for seed in seeds:
            known = ["--profiles", profiles] if profiles.exists() else []
            replay(OUT / str(seed) / f"probe_{name}.parquet", "--model", "baseline", *known, "--profiles-out", profiles)
        for title, options in (("without profiles", []), ("with profiles", ["--profiles", profiles])):
            models = ["baseline", "bundled"] if name == "10" else ["baseline"]
            for model in models:
                chosen = ["--model", model] if model == "baseline" else []
                replay(RECORDED / f"probe_{name}.parquet", *chosen, *options,
                       "--states", states, "--forecasts", forecasts)  # fmt: skip
                if model == "baseline":
                    print(f"{name} % {title}: state {scored('score_state.py', states, truth)}", flush=True)
                if name == "10":
                    said = scored("score_forecast.py", "edges", forecasts, truth)
                    print(f"{name} % {title}: forecast, {model}: {said}", flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [7, 11, 12, 13])
