"""Files whose names end in ``.gz``."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from .test_run import Run, in_order, outputs


@pytest.mark.parametrize(
    ("name", "text", "node", "expected"),
    [
        ("in.jsonl.gz", '{"n": 1}\n{"n": 2}\n', "double", [2, 4]),
        ("in.csv.GZ", "n\na\n", "double", ["aa"]),
        ("in.txt.gz", "1\n3\n", "odd", [1, 3]),
        ("in.gz", "1\n", "odd", [1]),
    ],
)
def test_are_read_as_what_they_hold(
    name: str, text: str, node: str, expected: list[object], run: Run, folder: Path
) -> None:
    (folder / name).write_bytes(gzip.compress(text.encode()))
    status, lines, errors = run(f"shell_nodes:{node}", name, "--progress")
    assert (status, outputs(lines)) == (0, expected)
    assert f"{len(expected)}/{len(expected)}" in errors


def test_are_written(run: Run, folder: Path) -> None:
    (folder / "in.txt").write_text("1\n3\n")
    run("shell_nodes:odd", "in.txt", "-o", "out.jsonl.gz")
    with gzip.open(folder / "out.jsonl.gz", "rt") as file:
        assert outputs(in_order(file.read())) == [1, 3]


@pytest.mark.parametrize(
    "data",
    [b"plain text\n", gzip.compress(b"1\n" * 9999)[:-20], b"\x1f\x8b"],
    ids=["plain", "cut off", "a head alone"],
)
def test_that_are_damaged_end_the_run(data: bytes, run: Run, folder: Path) -> None:
    (folder / "in.txt.gz").write_bytes(data)
    status, _, errors = run("shell_nodes:odd", "in.txt.gz")
    assert status == 2
    assert "the input in.txt.gz: cannot be read: " in errors.splitlines()[-1]
