"""What a power cut can leave of a file: a part of it, never something wrong."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nadoo_flow import CheckpointError, SqliteCheckpoint
from nadoo_flow.checkpoint import Record

GROUPS = [range(start, start + 7) for start in range(0, 140, 7)]
CUTS = 60


def a_record(item: int) -> Record:
    text = f"output {item} ".encode() * (item % 9)
    return Record(item, bytes([item]) * 32, f"input {item}", text, b"{}", item / 8)


def opened(path: Path) -> SqliteCheckpoint:
    checkpoint = SqliteCheckpoint(path)
    checkpoint.open("node", "Node")
    return checkpoint


def write(path: Path, items: range) -> None:
    checkpoint = opened(path)
    checkpoint.record([a_record(item) for item in items])
    checkpoint.close()


@pytest.fixture(scope="module")
def run_in_progress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the files of a run that is still writing: some of it in the file, some ahead of it."""
    path = tmp_path_factory.mktemp("torn") / "run.sqlite"
    write(path, GROUPS[0])
    checkpoint = opened(path)
    for group in GROUPS[1:]:
        checkpoint.record([a_record(item) for item in group])
    yield path
    checkpoint.close()


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def copied(path: Path, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(wal_of(path), folder)
    return Path(shutil.copy(path, folder))


@pytest.mark.slow
def test_a_write_ahead_log_cut_anywhere_gives_whole_groups_and_goes_on(
    run_in_progress: Path, tmp_path: Path
) -> None:
    size = wal_of(run_in_progress).stat().st_size
    numbers = random.Random(1)
    found = set()
    for cut in [0, 1, size, *(numbers.randrange(size) for _ in range(CUTS))]:
        path = copied(run_in_progress, tmp_path / "copy")
        with wal_of(path).open("r+b") as wal:
            wal.truncate(cut)
        checkpoint = opened(path)
        records = checkpoint.read_completed(0, 1_000)
        assert records == [a_record(item) for item in range(len(records))]
        assert len(records) % 7 == 0
        assert records[:7] == [a_record(item) for item in GROUPS[0]]
        found.add(len(records))
        missing = [a_record(item) for item in range(len(records), 140)]
        checkpoint.record(missing)
        assert checkpoint.read_completed(0, 1_000) == [a_record(item) for item in range(140)]
        checkpoint.close()
        shutil.rmtree(tmp_path / "copy")
    assert {7, 140} < found


@pytest.mark.slow
@pytest.mark.parametrize("which", ["file", "log"])
def test_bytes_that_have_changed_give_an_error_or_less_but_nothing_wrong(
    which: str, run_in_progress: Path, tmp_path: Path
) -> None:
    numbers = random.Random(2)
    errors = 0
    for _ in range(CUTS):
        path = copied(run_in_progress, tmp_path / "copy")
        victim = path if which == "file" else wal_of(path)
        content = bytearray(victim.read_bytes())
        for _ in range(numbers.randrange(1, 40)):
            content[numbers.randrange(len(content))] = numbers.randrange(256)
        victim.write_bytes(content)
        try:
            checkpoint = opened(path)
            records = checkpoint.read_completed(0, 1_000)
        except CheckpointError:
            errors += 1
        else:
            for record in records:
                item, fingerprint, _, output, metadata, _ = record
                expected = a_record(item)
                assert (fingerprint, output) == (expected.fingerprint, expected.output)
                assert metadata == expected.metadata
        checkpoint.close()
        shutil.rmtree(tmp_path / "copy")
    assert which == "log" or errors
