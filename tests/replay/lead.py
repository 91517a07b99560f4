#!/usr/bin/env python3
"""How long before it reached them the demo's jam was forecast, segment by segment.

Runs the demo and reads the state and the forecast of every closed minute from its API until the
longest jam that guidance tells of has passed its greatest length. For every segment of that jam it
prints when it became congested (speed below 0.6 of free flow for three minutes, the last time before
guidance counted it in) and when that was first forecast: the earliest of the forecasts issued in the
hour before whose median lies below 0.6 of free flow in a step within ten minutes of it, the segment
not being congested yet. The same is asked of p10, from when on congestion is given one chance in ten
or more. Of the segments upstream of the head it prints the medians; one that was never forecast
counts 0.

    lead.py [MINUTES [SPEEDUP [MODEL]]]      event minutes to follow (default 65), speedup (default 20),
                                             who forecasts (default the bundled model)

ROADCAST_BIN   binary to run (default target/release/roadcast)
"""

import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from demo import demo, get_json  # noqa: E402

OUT = ROOT / "target/lead"
CONGESTED = 0.6
LASTING_MIN = 3
TOLERANCE_S = 600
MINUTE_MS = 60_000
QUANTILES = ("p50", "p10")


def follow(url, minutes):
    """By the minute's end the speed ratios of the segments and the medians of forecasts as ratios; of
    each jam its longest state and when each segment was first counted in."""
    states, forecasts, jams = {}, {}, {}
    sequence = 0
    first = None
    while first is None or max(states) - first < minutes * MINUTE_MS:
        status = get_json(f"{url}/status")
        if status is None or status["sequence"] == sequence or not status["forecast_issued_at_ms"]:
            time.sleep(0.1)
            continue
        sequence = status["sequence"]
        state, forecast = get_json(f"{url}/state"), get_json(f"{url}/forecast")
        at = state["end_ms"]
        if forecast["issued_at_ms"] != at:
            continue
        first = at if first is None else first
        free_mps = [max(segment["free_flow_mps"], 0.1) for segment in state["segments"]]
        speeds = [segment["speed_mps"] for segment in state["segments"]]
        states[at] = [speed / free for speed, free in zip(speeds, free_mps)]
        steps = {
            name: [
                [speed / free for speed in segment[f"{name}_mps"]]
                for segment, free in zip(forecast["segments"], free_mps)
            ]
            for name in QUANTILES
        }
        forecasts[at] = (forecast["first_step_ms"], forecast["step_s"], steps)
        for feature in get_json(f"{url}/guidance")["features"]:
            message = feature["properties"].get("guidance")
            if message and "jam" in message:
                known = jams.setdefault(message["id"], (message["jam"], {}))
                jam = message["jam"]
                for segment in jam["segments"]:
                    known[1].setdefault(segment, at)
                if jam["length_m"] >= known[0]["length_m"]:
                    jams[message["id"]] = (jam, known[1])
    return states, forecasts, jams


def became_congested(states, segment, counted_in):
    """End of the first of the minutes in which the segment was congested for long enough, the last
    time that began before guidance counted it in."""
    ends = sorted(states)
    for index in reversed(range(1, len(ends) - LASTING_MIN + 1)):
        if ends[index] > counted_in:
            continue
        lasting = ends[index : index + LASTING_MIN]
        if states[ends[index - 1]][segment] >= CONGESTED and all(
            states[end][segment] < CONGESTED for end in lasting
        ):
            return ends[index]
    return None


def first_forecast(states, forecasts, quantile, segment, at):
    """When congestion at `at` was first forecast by `quantile`; None where it was not."""
    for issued in sorted(forecasts):
        if not at - 3_600_000 <= issued < at or states[issued][segment] < CONGESTED:
            continue
        first, step_s, steps = forecasts[issued]
        for step, ratio in enumerate(steps[quantile][segment]):
            start = first + step * step_s * 1000
            end = start + step_s * 1000
            tolerance = TOLERANCE_S * 1000
            if ratio < CONGESTED and start - tolerance <= at <= end + tolerance:
                return issued
    return None


def clock(ms):
    """Local time of the demo's city, UTC+8."""
    return time.strftime("%H:%M", time.gmtime(ms / 1000 + 8 * 3600))


def main():
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 65
    OUT.mkdir(parents=True, exist_ok=True)
    options = ["--speedup", sys.argv[2]] if len(sys.argv) > 2 else []
    options += ["--model", sys.argv[3]] if len(sys.argv) > 3 else []
    with demo(OUT / "demo.log", *options) as (_, http):
        states, forecasts, jams = follow(f"http://127.0.0.1:{http}/api/v1", minutes)
        scores = get_json(f"http://127.0.0.1:{http}/api/v1/scores")
    if not jams:
        sys.exit("no jam was told of")
    jam, segments = max(jams.values(), key=lambda known: known[0]["length_m"])
    head = jam["head"]["segment"]
    print(f"jam at {jam['head']['name_en']}, {jam['length_m']:.0f} m at its longest")
    leads = {name: [] for name in QUANTILES}
    for segment, counted_in in segments.items():
        at = became_congested(states, segment, counted_in)
        if at is None:
            print(f"segment {segment}: was congested from the start, or never for long")
            continue
        told = []
        for name in QUANTILES:
            issued = first_forecast(states, forecasts, name, segment, at)
            lead_min = 0 if issued is None else (at - issued) / MINUTE_MS
            told.append(f"{name} {'never' if issued is None else f'{clock(issued)}, {lead_min:.0f} min before'}")
            if segment != head:
                leads[name].append(lead_min)
        place = "head" if segment == head else "upstream"
        print(f"segment {segment} ({place}): congested {clock(at)}; forecast by {'; by '.join(told)}")
    if not leads["p50"]:
        sys.exit("the jam reached no segment upstream")
    for name, minutes_before in leads.items():
        early = sum(lead > 0 for lead in minutes_before)
        print(
            f"{name}: of {len(minutes_before)} segments upstream {early} forecast before the jam reached"
            f" them, median lead {statistics.median(minutes_before):.0f} min"
        )
    for entry in scores["forecasters"]:
        figures = entry["all"]
        print(
            f"{entry['forecaster']}: error {figures['mae_mps']:.2f} m/s,"
            f" congested {figures.get('mae_congested_mps', float('nan')):.2f},"
            f" in the 90 % interval {figures['coverage_90']:.1%},"
            f" congested {figures.get('coverage_90_congested', float('nan')):.1%},"
            f" onsets {entry['onsets']}"
        )


if __name__ == "__main__":
    main()
