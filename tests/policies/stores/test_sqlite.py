"""A cache in one file: for many at a time, durable, and refused where it is not sound."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode, SqliteCheckpoint
from nadoo_flow.executors import on
from nadoo_flow.policies import CacheError, cache
from nadoo_flow.policies.stores import sqlite
from nadoo_flow.policies.stores.sqlite import FORMAT

from ..services import outcome

real = pytest.mark.asyncio(loop_factories=["real"])
"""The file has a thread of its own, for which virtual time would not wait."""


def ask(number: int) -> dict[str, int]:
    return {"doubled": 2 * number}


def node(path: Path, work: Callable[[Any], Any] = ask, **options: Any) -> Any:
    return FunctionNode(work, "ask").pipe(cache(path, **options))


async def cached(path: Path, numbers: Any) -> list[bool]:
    results = await BatchProcessor(node(path), 20).batch(numbers)
    assert results.outputs == [{"doubled": 2 * number} for number in numbers]
    return ["cached" in result.metadata for result in results]


async def filled(path: Path, count: int) -> Path:
    assert await cached(path, range(count)) == [False] * count
    await closed(path)
    return path


async def closed(path: Path) -> None:
    """Wait until the connection is closed, as it is when its node is garbage."""
    for _ in range(1_000):
        gc.collect()
        if os.listdir(path.parent) == [path.name]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the file is still open")


def changed(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


async def error_of(path: Path) -> str:
    result = await outcome(node(path), 4)
    assert isinstance(result.exception, CacheError)
    return str(result.exception)


@real
async def test_what_was_computed_is_there_for_the_next_one(tmp_path: Path) -> None:
    path = await filled(tmp_path / "cache.sqlite", 100)
    assert await cached(path, list(range(109, -1, -1))) == [False] * 10 + [True] * 100


@real
async def test_metadata_are_kept_as_far_as_they_are_json(tmp_path: Path) -> None:
    def work(number: int) -> Any:
        from nadoo_flow import NodeResult

        return NodeResult(True, number, None, {"usage": {"tokens": 3}, "other": object()})

    for expected in ({"saved": {"tokens": 3}, "cached": True},) * 2:
        first = node(tmp_path / "cache.sqlite", work)
        await first.run(1)
        assert (await outcome(first, 1)).metadata == expected


@real
async def test_equal_inputs_at_a_time_are_one_call(tmp_path: Path) -> None:
    calls: list[Any] = []

    async def work(number: int) -> int:
        calls.append(number)
        await asyncio.sleep(0.01)
        return number

    results = await BatchProcessor(node(tmp_path / "cache.sqlite", work), 50).batch([7] * 50)
    assert results.outputs == [7] * 50
    assert calls == [7]


@real
async def test_a_value_that_was_handed_out_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    asking = node(path)
    for number in range(5):
        await asking.run(number)
        copied = tmp_path / f"copy {number}"
        copied.mkdir()
        for name in ("cache.sqlite", "cache.sqlite-wal"):
            shutil.copy(tmp_path / name, copied)
        assert await cached(copied / "cache.sqlite", range(number + 1)) == [True] * (number + 1)


@real
async def test_a_large_output(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    large = node(path, lambda number: "x" * 5_000_000 * number)
    first, second = [await outcome(large, 2) for _ in range(2)]
    assert first.output == second.output
    assert second.metadata == {"cached": True}


@real
async def test_many_event_loops_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    shared = node(path)
    answers: list[Any] = []

    def use() -> None:
        results = asyncio.run(BatchProcessor(shared, 10).batch(range(200)))
        answers.append(results.outputs)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert answers == [[{"doubled": 2 * number} for number in range(200)]] * 4
    assert await cached(path, range(200)) == [True] * 200


PROGRAM = """
import asyncio, sys
from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import cache

def ask(number):
    return {"doubled": 2 * number}

node = FunctionNode(ask, "ask").pipe(cache(sys.argv[1]))
sys.stdin.readline()
results = asyncio.run(BatchProcessor(node, 5).batch(range(300)))
assert [result.output for result in results] == [ask(number) for number in range(300)], results
print(len([result for result in results if not result.success]))
"""


@real
@pytest.mark.slow
async def test_many_processes_that_make_the_file_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    command = [sys.executable, "-c", PROGRAM, str(path)]
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)  # noqa: ASYNC220
        for _ in range(6)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        assert process.communicate(timeout=60) == ("0\n", "")
    # Whoever was the last has moved everything into the file.
    assert os.listdir(tmp_path) == ["cache.sqlite"]
    assert await cached(path, range(300)) == [True] * 300


def test_one_policy_in_several_event_loops_one_after_the_other(tmp_path: Path) -> None:
    asking = node(tmp_path / "cache.sqlite")
    for expected in (False, True, True):
        result = asyncio.run(outcome(asking, 3))
        assert ("cached" in result.metadata) is expected


@real
async def test_a_copy_for_another_process_uses_the_same_file(tmp_path: Path) -> None:
    asking = node(tmp_path / "cache.sqlite")
    await asking.run(1)
    assert (await outcome(pickle.loads(pickle.dumps(asking)), 1)).metadata == {"cached": True}


@real
@pytest.mark.slow
async def test_in_worker_processes(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    # Not forked, since threads of other tests may hold locks of SQLite's at that moment.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        results = await BatchProcessor(node(path).pipe(on(pool)), 4).batch(range(50))
        assert results.outputs == [ask(number) for number in range(50)]
    assert await cached(path, range(50)) == [True] * 50


FORK = """
import asyncio, os, sys
from nadoo_flow import FunctionNode
from nadoo_flow.policies import cache

node = FunctionNode(abs, "ask").pipe(cache(sys.argv[1]))
asyncio.run(node.run(-1))
child = os.fork()
answers = [asyncio.run(node.run(number)) for number in (-1, -2 if child else -3)]
os.write(1, f"{answers}\\n".encode())  # in one piece
if child:
    assert os.waitpid(child, 0)[1] == 0
    print(asyncio.run(node.run(-3)))
"""


@real
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
async def test_a_process_that_forks(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (sorted(done.stdout.splitlines()), done.stderr) == (["3", "[1, 2]", "[1, 3]"], "")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@real
async def test_the_event_loop_goes_on_while_another_program_writes(
    tmp_path: Path,
) -> None:
    path = await filled(tmp_path / "cache.sqlite", 1)
    asking = node(path)
    await asking.run(0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(asking.run(1))
        for _ in range(20):
            await asyncio.sleep(0.001)
        # It has been computed, and is not handed out before it is in the file.
        assert not writing.done()
        other.execute("COMMIT")
    assert await writing == {"doubled": 2}


@real
async def test_a_relative_path_stays_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asking = node(Path("cache.sqlite"))
    monkeypatch.chdir(tmp_path.parent)
    await asking.run(1)
    assert await cached(tmp_path / "cache.sqlite", [1]) == [True]


@real
async def test_policies_that_are_made_for_each_request_leave_no_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    for number in range(20):
        await node(tmp_path / "cache.sqlite").run(number)
    await closed(tmp_path / "cache.sqlite")
    assert threading.active_count() <= before + 1


@real
async def test_an_item_that_is_cancelled_while_it_is_written_is_kept(tmp_path: Path) -> None:
    path = await filled(tmp_path / "cache.sqlite", 1)
    computed = asyncio.Event()

    def work(number: int) -> dict[str, int]:
        computed.set()
        return ask(number)

    asking = node(path, work)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(asking.run(1))
        await computed.wait()
        await asyncio.sleep(0.01)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        other.execute("COMMIT")
    assert (await outcome(asking, 1)).metadata == {"cached": True}


@real
async def test_a_file_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE", 0.05)
    path = await filled(tmp_path / "cache.sqlite", 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        result = await outcome(node(path), 1)
    assert result.error == (
        f"CacheError: the cache {str(path)!r} is in use by another run or program: "
        "database is locked"
    )
    assert result.output == {"doubled": 2}


@real
class TestRefused:
    async def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("Dear diary, today I wrote more than a hundred characters. " * 20)
        assert await error_of(path) == (
            f"the cache {str(path)!r} is damaged, or no cache at all: file is not a database"
        )
        assert path.read_text().startswith("Dear diary")

    async def test_a_damaged_page(self, tmp_path: Path) -> None:
        path = await filled(tmp_path / "cache.sqlite", 300)
        damaged = bytearray(path.read_bytes())
        damaged[4096:] = b"\xaa" * (len(damaged) - 4096)
        path.write_bytes(damaged)
        assert await error_of(path) == (
            f"the cache {str(path)!r} is damaged: database disk image is malformed"
        )

    async def test_a_truncated_file(self, tmp_path: Path) -> None:
        path = await filled(tmp_path / "cache.sqlite", 300)
        os.truncate(path, path.stat().st_size // 2)
        results = await BatchProcessor(node(path), 1).batch(range(300))
        # What can still be read is as good as it was.
        assert all(
            result.output == ask(number) for number, result in enumerate(results) if result.success
        )
        errors = {result.error for result in results if not result.success}
        assert errors == {
            f"CacheError: the cache {str(path)!r} is damaged: database disk image is malformed"
        }

    @pytest.mark.parametrize("change", ["value = x'7b7d'", "value = 5", "checksum = 'x'"])
    async def test_a_damaged_entry_and_no_other(self, change: str, tmp_path: Path) -> None:
        path = await filled(tmp_path / "cache.sqlite", 10)
        changed(path, f"UPDATE entries SET {change} WHERE rowid = 5")
        results = await BatchProcessor(node(path)).batch(range(10))
        assert [result.error for result in results if not result.success] == [
            f"CacheError: the cache {str(path)!r} is damaged: an entry is not as it was written"
        ]

    async def test_an_entry_of_a_stranger_runs_no_code(self, tmp_path: Path) -> None:
        path = await filled(tmp_path / "cache.sqlite", 1)
        with closing(sqlite3.connect(path)) as connection, connection:
            ((key,),) = connection.execute("SELECT key FROM entries").fetchall()
            value = pickle.dumps({"output": 1})
            checksum = sqlite._compute_checksum(key, value)
            connection.execute("UPDATE entries SET value = ?, checksum = ?", (value, checksum))
        result = await outcome(node(path), 0)
        assert "holds an entry that cannot be read: UnicodeDecodeError" in str(result.error)

    async def test_a_database_of_another_application(self, tmp_path: Path) -> None:
        path = changed(tmp_path / "bookmarks.sqlite", "CREATE TABLE bookmarks (url)")
        before = path.read_bytes()
        assert await error_of(path) == (
            f"the cache {str(path)!r} is a database of another application"
        )
        assert path.read_bytes() == before

    async def test_a_checkpoint(self, tmp_path: Path) -> None:
        checkpoint = SqliteCheckpoint(tmp_path / "run.sqlite")
        checkpoint.open("ask", "FunctionNode")
        checkpoint.close()
        assert "is a database of another application" in await error_of(tmp_path / "run.sqlite")

    async def test_a_file_of_a_newer_version(self, tmp_path: Path) -> None:
        path = await filled(tmp_path / "cache.sqlite", 1)
        changed(path, f"PRAGMA user_version = {FORMAT + 1}")
        assert "was written by a newer version (its format is 2" in await error_of(path)

    async def test_a_file_without_its_table(self, tmp_path: Path) -> None:
        path = changed(await filled(tmp_path / "cache.sqlite", 1), "DROP TABLE entries")
        assert await error_of(path) == (
            f"the cache {str(path)!r} cannot be read: no such table: entries"
        )

    async def test_a_folder_and_one_that_is_missing(self, tmp_path: Path) -> None:
        assert "is a folder; name a file" in await error_of(tmp_path)
        path = tmp_path / "missing" / "cache.sqlite"
        assert "is in a folder that does not exist" in await error_of(path)

    async def test_until_it_is_put_right(self, tmp_path: Path) -> None:
        asking = node(tmp_path / "missing" / "cache.sqlite")
        assert not (await outcome(asking, 1)).success
        (tmp_path / "missing").mkdir()
        assert [(await outcome(asking, 1)).metadata for _ in range(2)] == [{}, {"cached": True}]


FILE_SIZE = """
import asyncio, resource, sys
from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import cache

resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
node = FunctionNode(lambda number: "x" * 1000, "ask").pipe(cache(sys.argv[1]))
results = asyncio.run(BatchProcessor(node).batch(range(1000)))
assert all(result.output == "x" * 1000 for result in results)
print(len([result for result in results if result.success]))
print({result.error for result in results if not result.success})
"""


@real
@pytest.mark.slow
async def test_a_file_that_cannot_grow_fails_what_cannot_be_kept_and_loses_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cache.sqlite"
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", FILE_SIZE, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    kept, errors = done.stdout.splitlines()
    assert errors.startswith(f'{{"CacheError: the cache {str(path)!r} cannot be written: ')
    results = await BatchProcessor(node(path, lambda number: "x" * 1000)).batch(range(1000))
    assert len([result for result in results if result.metadata]) == int(kept) > 0
