#!/usr/bin/env python3
"""What a segment loses by never having been learnt from: folds of segments left out of training.

usage: folds.py DATASET [TRAIN OPTION…]

For each of three seeds a model of all segments is trained, and five that each leave out one fold of
20 %. Both forecast the test part of that fold. Prints the loss of each pair in percent of the error
of the model that saw the segments, and their mean with its 95 % interval (Student's t over the pairs).

ROADCAST_BIN   binary to run (default target/release/roadcast)
ROADCAST_OUT   folder for models and reports (default target/long/folds)
JOBS           trainings at a time (default 1)
SEEDS          seeds (default "1 2 3")
"""

import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
FOLDS, PERCENT = 5, 20
# Quantile .975 of Student's t by degrees of freedom.
T975 = {4: 2.776, 9: 2.262, 14: 2.145}


def run(*arguments):
    subprocess.run([BINARY, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def error(dataset, model, fold, report):
    run("backtest", "--dataset", dataset, "--model", model, "--holdout-segments", PERCENT, "--fold", fold, "--report", report)
    return json.loads(report.read_text())["mae_avg"]


def main(dataset, options):
    out = pathlib.Path(os.environ.get("ROADCAST_OUT", ROOT / "target/long/folds")) / dataset.name
    out.mkdir(parents=True, exist_ok=True)
    seeds = os.environ.get("SEEDS", "1 2 3").split()

    def train(seed, fold):
        model = out / (f"seen-{seed}" if fold is None else f"unseen-{seed}-{fold}")
        left_out = [] if fold is None else ["--holdout-segments", PERCENT, "--fold", fold]
        run("train", "--dataset", dataset, "--out", model, "--seed", seed, *left_out, *options)
        return model

    def errors(seed, fold):
        models = [trained[seed, key].result() for key in (None, fold)]
        return [error(dataset, model, fold, out / f"report-{seed}-{fold}.json") for model in models]

    losses, pairs = [], [(seed, fold) for seed in seeds for fold in range(FOLDS)]
    with ThreadPoolExecutor(int(os.environ.get("JOBS", 1))) as pool:
        # What is submitted first begins first, so whoever waits for a training waits for one under way.
        trained = {(seed, fold): pool.submit(train, seed, fold) for seed in seeds for fold in [None, *range(FOLDS)]}
        for (seed, fold), (seen, unseen) in zip(pairs, pool.map(lambda pair: errors(*pair), pairs)):
            losses.append(100 * (unseen / seen - 1))
            print(f"seed {seed} fold {fold}: seen {seen:.4f}, left out {unseen:.4f}, {losses[-1]:+.2f} %", flush=True)
    mean = statistics.mean(losses)
    reach = T975.get(len(losses) - 1, 2.0) * statistics.stdev(losses) / math.sqrt(len(losses))
    print(f"{dataset.name}: left out loses {mean:+.2f} % ({mean - reach:+.2f} to {mean + reach:+.2f}) over {len(losses)} pairs")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
