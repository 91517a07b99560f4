#!/usr/bin/env python3
"""Reads an archive with DuckDB and pandas and holds it against what the same replay wrote otherwise.

Replays the recorded hour of Bologna once with --archive, --states and --guidance, all under the
release rule.

ROADCAST_BIN   binary to run (default target/release/roadcast)
ROADCAST_DATA  data folder (default ../shared/data); without it the step is skipped, exit code 77
"""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import duckdb
import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
DATA = pathlib.Path(os.environ.get("ROADCAST_DATA", ROOT / "../shared/data")) / "bologna"
OUT = ROOT / "target/archive"
LIMIT_S = 600


def replay():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    command = [
        BINARY, "replay", "--released",
        "--network", DATA / "scenario/joined_buslanes.net.xml.gz",
        "--input", DATA / "recorded/probe_10.parquet",
        "--archive", OUT / "archive", "--states", OUT / "states.parquet",
        "--guidance", OUT / "guidance.jsonl",
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=LIMIT_S, stdout=subprocess.DEVNULL)


def check_states():
    """Every state, by DuckDB over the partitioned folder, is that of the plain file."""
    archived = duckdb.sql(
        f"SELECT * FROM read_parquet('{OUT}/archive/date=*/state-*.parquet', "
        "hive_partitioning = true) ORDER BY start, segment"
    ).df()
    plain = pd.read_parquet(OUT / "states.parquet").sort_values(["start", "segment"])
    assert len(archived) == len(plain) > 10_000, (len(archived), len(plain))
    seconds = archived["start"].to_numpy("datetime64[s]").astype(np.int64)
    assert (seconds == plain["start"].to_numpy()).all()
    for column in ["segment", "source_id", "level", "provenance"]:
        assert (archived[column].to_numpy() == plain[column].to_numpy()).all(), column
    for column, error in [("speed_mps", 0.006), ("sigma_mps", 0.006), ("length_m", 1e-3)]:
        assert np.allclose(archived[column], plain[column], atol=error), column
    samples = archived["samples"].fillna(0).to_numpy(np.int64)
    assert (samples == plain["samples"].to_numpy()).all()
    assert archived.loc[archived["provenance"] == "observed", "samples"].notna().all()
    assert archived["network"].nunique() == 1
    # Partitions are local days (UTC+8).
    local = pd.to_datetime(archived["start"]).dt.tz_localize(None) + pd.Timedelta(hours=8)
    assert (local.dt.strftime("%Y-%m-%d") == archived["date"].astype(str)).all()
    return archived


def check_pandas(archived):
    """The same with pandas and pyarrow, and the documented columns in their order."""
    files = sorted((OUT / "archive").glob("date=*/state-*.parquet"))
    frame = pd.concat(pd.read_parquet(file) for file in files)
    frame = frame.sort_values(["start", "segment"]).reset_index(drop=True)
    assert np.allclose(frame["speed_mps"], archived["speed_mps"])
    documented = [
        line.split("`")[1]
        for line in (ROOT / "docs/archive.md").read_text().split("### guidance")[0].splitlines()
        if line.startswith("| `")
    ]
    columns = [column for column in frame.columns if column != "date"]
    assert columns == documented[: len(columns)], (columns, documented)
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o640, file
    assert not list((OUT / "archive").glob("*.journal")), "nothing is open after the end"


def check_guidance():
    lines = [json.loads(line) for line in (OUT / "guidance.jsonl").read_text().splitlines()]
    rows = []
    for file in sorted((OUT / "archive").glob("date=*/guidance-*.parquet")):
        rows += duckdb.sql(f"SELECT * FROM read_parquet('{file}')").df().to_dict("records")
    assert len(rows) == len(lines), (len(rows), len(lines))
    for row, line in zip(rows, lines):
        assert (row["id"], row["revision"], row["kind"]) == (
            line["id"], line["revision"], line["kind"],
        )  # fmt: skip
        if not row["withdrawn"]:
            assert json.loads(row["message"]) == line
    return len(rows)


def main():
    if not DATA.is_dir():
        print(f"skipped: {DATA} is not there")
        return 77
    replay()
    archived = check_states()
    check_pandas(archived)
    advice = check_guidance()
    size = sum(file.stat().st_size for file in (OUT / "archive").rglob("*.parquet"))
    print(f"{len(archived)} states and {advice} changes of advice in {size} bytes, as replayed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
