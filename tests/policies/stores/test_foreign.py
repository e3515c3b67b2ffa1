"""Stores of one's own, sync or async, and what they may do wrong."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import CacheError, cache
from nadoo_flow.policies.stores import encoded

from ..services import outcome


class Dictionary:
    """A store in the shortest form, which notes what it is asked."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.asked: list[Any] = []

    def get(self, key: str) -> Any:
        self.asked.append(("get", key))
        return self.data.get(key)

    def set(self, key: str, value: bytes, ttl: float | None) -> Any:
        self.asked.append(("set", key, ttl))
        self.data[key] = value

    def __repr__(self) -> str:
        return "Dictionary()"


class Async(Dictionary):
    """The same with async methods."""

    async def get(self, key: str) -> Any:
        await asyncio.sleep(1)
        return super().get(key)

    async def set(self, key: str, value: bytes, ttl: float | None) -> Any:
        await asyncio.sleep(1)
        super().set(key, value, ttl)
        return True


@pytest.mark.parametrize("kind", [Dictionary, Async])
async def test_it_is_asked_once_for_equal_inputs_at_a_time(kind: type[Dictionary]) -> None:
    calls: list[Any] = []

    async def note(value: Any) -> None:
        calls.append(value)
        await asyncio.sleep(1)

    store = kind()
    node = FunctionNode(note).pipe(cache(store, ttl=60))
    results = await BatchProcessor(node, 5).batch(["x"] * 5)
    assert [result.metadata for result in results] == [{}] + [{"cached": True}] * 4
    (key,) = store.data
    assert store.asked == [("get", key), ("set", key, 60)]
    assert len(key) == 64
    assert int(key, 16)
    entry = json.loads(store.data[key])
    assert (entry["output"], entry["metadata"]) == (None, {})
    # Another policy, as in another process, makes the same key.
    other = FunctionNode(calls.append, "note").pipe(cache(store))
    assert (await outcome(other, "x")).metadata == {"cached": True}
    assert calls == ["x"]


def test_a_key_never_changes_between_versions() -> None:
    store = Dictionary()
    node = FunctionNode(len, "words").pipe(cache(store, version="2"))
    asyncio.run(node.run(["é", {"b": None, "a": 1.5}]))
    assert list(store.data) == ["23c195b09cb8159e72a0a51ee65a2a37b45966e5ae49e234c5620823066ca937"]


async def test_an_output_that_is_no_json_fails_and_is_not_lost() -> None:
    store = Dictionary()
    node = FunctionNode(lambda value: (value, value), "pair").pipe(cache(store))
    results = await BatchProcessor(node, 2).batch([1, 1])
    assert [result.success for result in results] == [False, False]
    assert results[0].output == (1, 1)
    assert results[0].error == (
        "CacheError: the output cannot be kept in the cache Dictionary() (Dictionary): (1, 1) "
        "(tuple) would not come back from JSON as it is; let the node give JSON values, "
        "or use store=None"
    )
    assert store.data == {}


async def test_an_entry_is_as_old_as_the_wall_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [1_000.0]
    monkeypatch.setattr(encoded, "time", lambda: moments[-1])
    calls: list[Any] = []
    store = Dictionary()
    node = FunctionNode(calls.append, "note").pipe(cache(store, ttl=60))
    # Young, young, too old, and then the clock is set back: a little, and to long ago.
    for moment, expected in [(1_000, 1), (1_060, 1), (1_061, 2), (1_050, 2), (900, 3)]:
        moments.append(moment)
        await node.run("x")
        assert len(calls) == expected
    # Without a ttl any age will do.
    moments.append(1e9)
    await FunctionNode(calls.append, "note").pipe(cache(store)).run("x")
    assert len(calls) == 3


class Raising(Dictionary):
    """A store whose methods raise."""

    def __init__(self, method: str, error: BaseException) -> None:
        super().__init__()
        self.method = method
        self.error = error

    def get(self, key: str) -> Any:
        return self._raise() if self.method == "get" else super().get(key)

    async def set(self, key: str, value: bytes, ttl: float | None) -> Any:
        return self._raise() if self.method == "set" else super().set(key, value, ttl)

    def _raise(self) -> Any:
        raise self.error

    def __repr__(self) -> str:
        return "Raising()"


@pytest.mark.parametrize("method", ["get", "set"])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("refused"), "failed: ConnectionError: refused"),
        (StopIteration(1), "failed: "),
        (asyncio.CancelledError(), None),
        (GeneratorExit(), None),
    ],
    ids=["exception", "stop", "cancel", "exit"],
)
async def test_what_it_raises_fails_the_items(
    method: str, error: BaseException, words: str | None
) -> None:
    node = FunctionNode(str, "text").pipe(cache(Raising(method, error)))
    results = await BatchProcessor(node, 2).batch([1, 1, 2])
    assert [result.success for result in results] == [False] * 3
    # What was computed is not lost.
    assert [result.output for result in results] == (
        [None] * 3 if method == "get" else ["1", "1", "2"]
    )
    for result in results:
        if words is not None:
            assert isinstance(result.exception, CacheError)
            assert str(result.error).startswith(
                f"CacheError: the cache Raising() (Raising) {words}"
            )


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("text", "CacheError: get() of the cache Dictionary() (Dictionary) must return bytes or"),
        (b"[]", "CacheError: the cache Dictionary() (Dictionary) holds an entry that cannot be"),
        (b"{", "CacheError: the cache Dictionary() (Dictionary) holds an entry that cannot be"),
        (b"[" * 100_000, "CacheError: the cache Dictionary() (Dictionary) holds an entry that"),
        (b'{"output":1,"metadata":1,"time":0}', "CacheError: the cache Dictionary() (Dictionary)"),
        (b'{"output":1,"metadata":{},"time":null}', "CacheError: the cache Dictionary()"),
        (b"\x80\x04cposix\nsystem\n", "CacheError: the cache Dictionary() (Dictionary) holds an"),
    ],
    ids=["text", "list", "torn", "deep", "metadata", "time", "pickle"],
)
async def test_what_it_returns_is_not_trusted(data: Any, error: str) -> None:
    store = Dictionary()
    node = FunctionNode(str, "text").pipe(cache(store))
    await node.run(1)
    store.data = dict.fromkeys(store.data, data)
    result = await outcome(node, 1)
    assert str(result.error).startswith(error)


async def test_one_that_hangs_can_be_cancelled_and_another_goes_on() -> None:
    class Hanging(Dictionary):
        async def get(self, key: str) -> Any:
            self.asked.append("get")
            if len(self.asked) == 1:
                await asyncio.get_running_loop().create_future()

    store = Hanging()
    node = FunctionNode(str, "text").pipe(cache(store))
    first, second = [asyncio.create_task(outcome(node, 1)) for _ in range(2)]
    await asyncio.sleep(1)
    first.cancel()
    assert (await second).output == "1"


async def test_an_answer_whose_storing_was_cancelled_is_not_computed_again() -> None:
    class Slow(Dictionary):
        async def set(self, key: str, value: bytes, ttl: float | None) -> Any:
            await asyncio.sleep(5)
            super().set(key, value, ttl)

    calls: list[Any] = []
    store = Slow()
    node = FunctionNode(calls.append, "note").pipe(cache(store))
    first, second = [asyncio.create_task(outcome(node, 1)) for _ in range(2)]
    await asyncio.sleep(1)
    first.cancel()
    assert (await second).success
    assert (calls, len(store.data)) == ([1], 1)
