"""Compressed files and tables are read and written in flat memory."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .test_run import MEMORY, start

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_python,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it names the most memory"),
]

SHORT = 11_000
"""More rows than a group of a Parquet file holds."""
LONG = 4 * SHORT
TEXT = "x" * 200


def write_lines(path: Path, rows: int) -> None:
    with gzip.open(path, "wt") as file:
        for number in range(rows):
            file.write(f"{json.dumps({'n': number, 'text': TEXT})}\n")


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["n", "text"])
        writer.writerows([number, TEXT] for number in range(rows))


def write_parquet(path: Path, rows: int) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"n": range(rows), "text": [TEXT] * rows})
    parquet.write_table(table, path, row_group_size=1_000)


@pytest.mark.parametrize(
    ("name", "make", "output", "more"),
    [
        ("in.jsonl.gz", write_lines, "out.csv.gz", MEMORY),
        # Arrow keeps the memory of some groups of 10,000 rows.
        ("in.csv", write_csv, "out.parquet", 3 * MEMORY),
        ("in.parquet", write_parquet, "out.jsonl.gz", MEMORY),
    ],
    ids=["compressed lines to a table", "a table to Parquet", "Parquet to compressed lines"],
)
def test_four_times_as_many_rows_take_no_more_memory(
    name: str, make: Callable[[Path, int], None], output: str, more: int, folder: Path
) -> None:
    if "parquet" in output:
        pytest.importorskip("pyarrow")
    for rows in (SHORT, LONG):
        make(folder / name, rows)
        process = start(
            "shell_nodes:slow",
            name,
            *("-o", output, "--concurrency", 100),
            # On a busy machine the inputs may hold the loop, which is warned of.
            env=os.environ | {"TELL_MEMORY": "1", "PYTHONWARNINGS": "ignore::RuntimeWarning"},
        )
        _, errors = process.communicate()
        assert errors.startswith(f"{rows:,} results: {rows:,} succeeded, 0 failed")
    small, large = map(int, (folder / "memory").read_text().split())
    assert large - small < more
