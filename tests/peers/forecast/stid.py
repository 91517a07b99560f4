"""An STID-like peer for `roadcast backtest`: trains on a dataset folder and writes its predictions.

  stid.py DATASET_DIR --split 70/10/20 --seed 1 --out P.parquet [--epochs 30] [--missing 50]

After Shao et al. (2022), "Spatial-temporal identity: a simple yet effective baseline for multivariate
time series forecasting" (CIKM): the last twelve values of a sensor, an embedding of the sensor, of the
time of day and of the day of week, three residual layers, twelve outputs; mean absolute error, Adam,
early stop on the validation part. The median is its output; its quantiles are the empirical ones of
its errors on the validation part, by step. Score the file with `score_forecast.py series`.
"""
import argparse
import copy
import time
import tomllib

import numpy as np
import pandas as pd
import torch
from torch import nn

LAGS, STEPS = 12, 12
LEVELS = np.array([0.05, 0.1, 0.5, 0.9, 0.95])


class Stid(nn.Module):
    def __init__(self, sensors, width=32, layers=3):
        super().__init__()
        self.series = nn.Linear(2 * LAGS, width)
        self.sensor = nn.Parameter(torch.empty(sensors, width))
        self.slot = nn.Parameter(torch.empty(288, width))
        self.day = nn.Parameter(torch.empty(7, width))
        for table in (self.sensor, self.slot, self.day):
            nn.init.xavier_uniform_(table)
        full = 4 * width
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(full, full), nn.ReLU(), nn.Dropout(0.15), nn.Linear(full, full))
            for _ in range(layers))
        self.out = nn.Linear(full, STEPS)

    def forward(self, lags, known, slot, day):
        # lags, known: [window, sensor, lag]; slot, day: [window]
        windows, sensors, _ = lags.shape
        wide = lambda table: table[:, None, :].expand(windows, sensors, -1)
        hidden = torch.cat([self.series(torch.cat([lags, known], -1)),
                            self.sensor[None].expand(windows, -1, -1),
                            wide(self.slot[slot]), wide(self.day[day])], -1)
        for layer in self.layers:
            hidden = hidden + layer(hidden)
        return self.out(hidden)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("dataset")
    arguments.add_argument("--split", default="70/10/20")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--epochs", type=int, default=30)
    arguments.add_argument("--batch", type=int, default=32)
    arguments.add_argument("--missing", type=float, default=0.0, help="%% of the input cells hidden")
    arguments.add_argument("--out", required=True)
    options = arguments.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(2)

    header = tomllib.load(open(f"{options.dataset}/dataset.toml", "rb"))
    frame = pd.read_csv(f"{options.dataset}/series.csv.gz")
    sensors = list(frame.columns[1:])
    values = frame[sensors].to_numpy(np.float32)
    if header.get("zero_is_missing"):
        values[values == 0] = np.nan
    times = pd.to_datetime(frame.time)
    rows = len(values)
    parts = [int(part) for part in options.split.split("/")]
    first_validation = rows * parts[0] // sum(parts)
    first_test = rows * (parts[0] + parts[1]) // sum(parts)
    mean, scale = np.nanmean(values[:first_validation]), np.nanstd(values[:first_validation])

    is_known = ~np.isnan(values)
    hidden = np.random.default_rng(options.seed).random(values.shape) < options.missing / 100
    inputs = torch.tensor(np.where(is_known, (values - mean) / scale, 0).astype(np.float32))
    shown = torch.tensor((is_known & ~hidden).astype(np.float32))
    truth = torch.tensor(np.where(is_known, values, 0).astype(np.float32))
    counts = torch.tensor(is_known.astype(np.float32))
    slots = torch.tensor(((times.dt.hour * 60 + times.dt.minute) // 5).to_numpy(np.int64))
    days = torch.tensor(times.dt.weekday.to_numpy(np.int64))

    def batch(newest, mask=None):
        past = newest[:, None] - torch.arange(LAGS)
        known = shown[past].permute(0, 2, 1)
        if mask is not None:
            known = known * (torch.rand(known.shape) >= mask[:, None, None])
        lags = inputs[past].permute(0, 2, 1) * known
        ahead = newest[:, None] + 1 + torch.arange(STEPS)
        return ((lags, known, slots[newest], days[newest]),
                truth[ahead].permute(0, 2, 1), counts[ahead].permute(0, 2, 1))

    model = Stid(len(sensors))
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs, 2e-5)
    training = torch.arange(LAGS - 1, first_validation - STEPS)
    validation = torch.arange(first_validation - 1, first_test - STEPS)
    test = torch.arange(first_test - 1, rows - STEPS)

    def predict(windows):
        model.eval()
        with torch.no_grad():
            said = [model(*batch(part)[0]) for part in windows.split(128)]
        return (torch.cat(said) * scale + mean).clamp(min=0)

    def error(windows):
        _, wanted, weight = batch(windows)
        return float((((predict(windows) - wanted).abs() * weight).sum((0, 1)) / weight.sum((0, 1))).mean())

    best, began = (np.inf, None), time.process_time()
    for epoch in range(options.epochs):
        model.train()
        for newest in training[torch.randperm(len(training))].split(options.batch):
            mask = torch.rand(len(newest)) * 0.5 * (torch.rand(len(newest)) < 0.5)
            given, wanted, weight = batch(newest, mask if options.missing else None)
            said = model(*given) * scale + mean
            loss = ((said - wanted).abs() * weight).sum() / weight.sum()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
        schedule.step()
        found = error(validation)
        if found < best[0]:
            best = (found, copy.deepcopy(model.state_dict()))
        print(f"epoch {epoch + 1} validation {found:.4f} best {best[0]:.4f} "
              f"CPU {time.process_time() - began:.0f} s", flush=True)
    model.load_state_dict(best[1])

    _, wanted, weight = batch(validation)
    errors = np.where(weight.numpy() > 0, (wanted - predict(validation)).numpy(), np.nan)
    offsets = np.nanquantile(errors.reshape(-1, STEPS), LEVELS, axis=0)  # [level, step]
    offsets[2] = 0
    said = predict(test).numpy()  # [window, sensor, step]
    window, sensor, step = np.indices(said.shape)
    table = {"model": "stid", "issued_row": test.numpy()[window.ravel()],
             "step": step.ravel().astype(np.int32) + 1,
             "sensor": np.array(sensors)[sensor.ravel()]}
    for level, offset in zip(("p05", "p10", "p50", "p90", "p95"), offsets):
        table[level] = np.maximum(said + offset[None, None, :], 0).ravel().astype(np.float32)
    pd.DataFrame(table).to_parquet(options.out)


main()
