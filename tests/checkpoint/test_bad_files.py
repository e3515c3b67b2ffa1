"""Files that cannot be used: each is told in words, and what was recorded stays readable."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nadoo_flow import CheckpointError, SqliteCheckpoint
from nadoo_flow.checkpoint.sqlite import FORMAT

from .helpers import Doubling, a_record, processor, raised, real, recorded, resumed_indexes


def message_of(path: Path) -> str:
    """Open a file for a run, and read it all; return the complaint."""
    checkpoint = SqliteCheckpoint(path)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.open("doubling", "FunctionNode")
        with closing(checkpoint):
            checkpoint.read_completed(0, 1_000_000)
    return str(caught.value)


def changed(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, today I wrote more than a hundred characters. " * 20)
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} is damaged, or no checkpoint at all: file is not a database"
    )
    assert path.read_text().startswith("Dear diary")


def test_a_damaged_page(tmp_path: Path) -> None:
    path = recorded(tmp_path / "run.sqlite", 1_000)
    damaged = bytearray(path.read_bytes())
    damaged[3 * 4096 : 4 * 4096] = b"\xaa" * 4096
    path.write_bytes(damaged)
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} is damaged: database disk image is malformed"
    )


def test_a_damaged_record(tmp_path: Path) -> None:
    path = recorded(tmp_path / "run.sqlite", 10)
    changed(path, "UPDATE results SET output = x'32' WHERE item = 4")
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} is damaged: item 4 is not as it was written"
    )


@pytest.mark.parametrize("wrong", ["NULL", "5", "'text'"])
def test_a_record_of_the_wrong_kind(wrong: str, tmp_path: Path) -> None:
    path = recorded(tmp_path / "run.sqlite", 10)
    changed(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'BLOB NOT NULL', 'BLOB')",
    )
    changed(path, f"UPDATE results SET output = {wrong} WHERE item = 4")
    assert "is damaged: item 4 is not as it was written" in message_of(path)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = recorded(tmp_path / "run.sqlite", 1_000)
    os.truncate(path, path.stat().st_size // 2)
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} is damaged: database disk image is malformed"
    )


def test_a_file_without_its_header(tmp_path: Path) -> None:
    path = changed(recorded(tmp_path / "run.sqlite", 1), "DELETE FROM header")
    assert message_of(path) == f"the checkpoint {str(path)!r} is damaged: it names no node"


def test_a_file_without_its_tables(tmp_path: Path) -> None:
    path = changed(recorded(tmp_path / "run.sqlite", 1), "DROP TABLE results")
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} cannot be read: no such table: results"
    )


def test_a_database_of_another_application(tmp_path: Path) -> None:
    path = changed(tmp_path / "bookmarks.sqlite", "CREATE TABLE bookmarks (url)")
    before = path.read_bytes()
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} is a database of another application"
    )
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    path = changed(recorded(tmp_path / "run.sqlite", 1), f"PRAGMA user_version = {FORMAT + 1}")
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} was written by a newer version (its format is 2, "
        "this version reads up to 1)"
    )


def test_a_folder(tmp_path: Path) -> None:
    assert message_of(tmp_path) == f"the checkpoint {str(tmp_path)!r} is a folder; name a file"


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "run.sqlite"
    assert message_of(path) == (f"the checkpoint {str(path)!r} is in a folder that does not exist")


@pytest.mark.parametrize("path", ["", b"run.sqlite"])
def test_a_path_is_a_text(path: str) -> None:
    with pytest.raises(TypeError, match="the path of a checkpoint must be a text"):
        SqliteCheckpoint(path)


def test_an_empty_file_is_a_new_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    path.touch()
    assert recorded(path, 1).stat().st_size > 0


def test_a_file_of_a_run_that_was_killed_while_it_was_made_is_a_new_one(tmp_path: Path) -> None:
    path = changed(tmp_path / "run.sqlite", "PRAGMA user_version = 0", "VACUUM")
    recorded(path, 1)


def test_a_checkpoint_that_is_not_open(tmp_path: Path) -> None:
    checkpoint = SqliteCheckpoint(tmp_path / "run.sqlite")
    with pytest.raises(CheckpointError, match="is not open"):
        checkpoint.record([a_record(0)])
    checkpoint.close()


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """Give a folder to a user without privileges, and be that user: to root all is allowed."""
    if not hasattr(os, "geteuid"):
        pytest.skip("has no users like these")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    privileged = os.geteuid() == 0
    if privileged:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if privileged:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_read_only_file(as_nobody: Path) -> None:
    path = recorded(as_nobody / "run.sqlite", 3)
    path.chmod(0o444)
    assert message_of(path) == (f"the checkpoint {str(path)!r} cannot be written, it is read-only")


def test_a_read_only_folder(as_nobody: Path) -> None:
    as_nobody.chmod(0o555)
    path = as_nobody / "run.sqlite"
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} cannot be opened: unable to open database file"
    )


def test_a_file_that_may_not_be_read(as_nobody: Path) -> None:
    path = recorded(as_nobody / "run.sqlite", 3)
    path.chmod(0o200)
    assert message_of(path) == (
        f"the checkpoint {str(path)!r} cannot be opened: unable to open database file"
    )


HOLDER = """
import sys
from nadoo_flow import SqliteCheckpoint
checkpoint = SqliteCheckpoint(sys.argv[1])
checkpoint.open("doubling", "FunctionNode")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_file_that_another_process_holds_until_it_is_killed(tmp_path: Path) -> None:
    path = recorded(tmp_path / "run.sqlite", 3)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        message = message_of(path)
        holder.kill()
    assert message == (
        f"the checkpoint {str(path)!r} is in use by another run or program: database is locked"
    )
    checkpoint = SqliteCheckpoint(path)
    checkpoint.open("doubling", "FunctionNode")
    assert len(checkpoint.read_completed(0, 10)) == 3
    checkpoint.close()


@real
@pytest.mark.parametrize("another", [True, False], ids=["another object", "the same object"])
async def test_two_runs_on_one_file_at_once(another: bool, tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    work = Doubling()
    first = processor(path, work)
    second = processor(path, work) if another else first
    refused = asyncio.Event()

    async def inputs() -> AsyncIterator[int]:
        for number in range(99):
            yield number
        await refused.wait()  # or this run might end before the other one begins
        yield 99

    async with first.batch_as_completed(inputs()) as results:
        await anext(results)
        message = await raised(second.batch(range(100)))
        refused.set()
        assert f"the checkpoint {str(path)!r} is in use by another run" in message
        assert len([result async for result in results]) == 99
    assert sorted(work.executed) == list(range(100))
    assert resumed_indexes(await first.batch(range(100))) == list(range(100))


class Small(SqliteCheckpoint):
    """A file on a disk with room for so many pages."""

    pages = 12

    def open(self, node_id: str, node_type: str) -> None:
        super().open(node_id, node_type)
        self._file.database.execute(f"PRAGMA max_page_count = {self.pages}")


@real
async def test_a_full_disk_ends_the_run_and_keeps_what_there_was_room_for(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    seen = []
    with pytest.raises(CheckpointError) as caught:
        async for result in processor(Small(path)).batch_as_completed(range(10_000)):
            seen.append(result.index)
    assert str(caught.value) == (
        f"the checkpoint {str(path)!r} cannot be written, the disk is full: "
        "database or disk is full"
    )
    lost = caught.value.unrecorded
    assert lost
    assert all(result.output == {"doubled": 2 * result.index} for result in lost)
    work = Doubling()
    results = await processor(path, work).batch(range(1_500))
    assert {result.index for result in lost}.isdisjoint(resumed_indexes(results))
    assert set(seen) <= set(resumed_indexes(results))
    assert [result.output["doubled"] for result in results] == list(range(0, 3_000, 2))


FILE_SIZE = """
import asyncio, resource, sys
from nadoo_flow import BatchProcessor, CheckpointError, FunctionNode

async def work(number):
    await asyncio.sleep(0)
    return "x" * 1000

node = FunctionNode(work, "doubling")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    asyncio.run(BatchProcessor(node, checkpoint=sys.argv[1]).batch(range(1000)))
except CheckpointError as error:
    print(error)
"""


@pytest.mark.slow
@real
async def test_a_file_that_the_system_lets_grow_no_more(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", FILE_SIZE, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"the checkpoint {str(path)!r} cannot be written: ")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""

    async def work(number: int) -> str:
        return "x" * 1000

    results = await processor(path, work).batch(range(1_000))
    assert [result.output for result in results] == ["x" * 1000] * 1_000
