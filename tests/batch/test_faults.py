"""The fault table: what the user gets when a node, the inputs or an argument is faulty."""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import pytest

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    FilterNode,
    MapNode,
    NodeError,
    NodeResult,
    Pipeline,
)
from nadoo_flow.operators import flat_map
from nadoo_flow.streams import Isolation

from ..stand_ins import (
    CLEAN_UP,
    Probe,
    ScriptedNode,
    answer,
    assert_only_the_caller_runs,
    describe_failure,
    now,
    observed,
    raised_by,
)


class Outcome(NamedTuple):
    """What a consumer of a batch got: the results, then perhaps an error."""

    results: list[BatchResult]
    error: BaseException | None


Collect = Callable[[BatchProcessor, Any], Awaitable[Outcome]]


async def _by_batch(processor: BatchProcessor, inputs: Any) -> Outcome:
    results: list[BatchResult] = []

    async def collect() -> None:
        results.extend(await processor.batch(inputs))

    return Outcome(results, await raised_by(collect()))


async def _by_completed(processor: BatchProcessor, inputs: Any) -> Outcome:
    results: list[BatchResult] = []

    async def collect() -> None:
        async for result in processor.batch_as_completed(inputs):
            results.append(result)

    error = await raised_by(collect())
    return Outcome(sorted(results, key=attrgetter("index")), error)


async def _by_observe(processor: BatchProcessor, inputs: Any) -> Outcome:
    results: list[BatchResult] = []
    error = await observed(processor.observe(inputs), results)
    return Outcome(sorted(results, key=attrgetter("index")), error)


every_way = pytest.mark.parametrize(
    "collect", [_by_batch, _by_completed, _by_observe], ids=["batch", "as_completed", "observe"]
)
one_by_one = pytest.mark.parametrize(
    "collect", [_by_completed, _by_observe], ids=["as_completed", "observe"]
)
every_isolation = pytest.mark.parametrize("isolate", ["context", "task"])


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise OSError("no words")


class _Doom(BaseException):
    pass


def _raising(error: BaseException) -> Callable[[], Any]:
    async def fault() -> NodeResult:
        raise error

    return fault


def _raising_at_once(error: BaseException) -> Callable[[], Any]:
    def fault() -> NodeResult:
        raise error

    return fault


def _returning(value: Any) -> Callable[[], Any]:
    async def fault() -> Any:
        return value

    return fault


async def _stop() -> NodeResult:
    raise StopIteration("end")


async def _timing_out() -> NodeResult:
    async with asyncio.timeout(1):
        await asyncio.sleep(2)
    return NodeResult(success=True)


async def _returning_a_coroutine() -> Any:
    return asyncio.sleep(1)


_NOT_ASYNC = "execute must be defined with async def"

# What a faulty node does, and the error and the type of the exception that the user gets for it.
FAULTS: dict[str, tuple[Callable[[], Any], str, type[BaseException] | None]] = {
    "raises": (_raising(ValueError("msg")), "ValueError: msg", ValueError),
    "raises without a message": (_raising(ValueError()), "ValueError", ValueError),
    "raises before its first await": (
        _raising_at_once(ValueError("msg")),
        "ValueError: msg",
        ValueError,
    ),
    "raises what has no words": (
        _raising(_Unspeakable()),
        "_Unspeakable: <its message could not be read: OSError>",
        _Unspeakable,
    ),
    "raises StopIteration": (
        _stop,
        describe_failure(lambda: _stop().send(None)),
        RuntimeError,
    ),
    "raises StopAsyncIteration": (
        _raising(StopAsyncIteration("end")),
        "StopAsyncIteration: end",
        StopAsyncIteration,
    ),
    "raises a stray CancelledError": (
        _raising(asyncio.CancelledError("stray")),
        "CancelledError: stray",
        asyncio.CancelledError,
    ),
    "times out": (_timing_out, "TimeoutError", TimeoutError),
    "returns None": (
        _returning(None),
        "TypeError: expected NodeResult, got NoneType",
        TypeError,
    ),
    "returns a dict": (
        _returning({"a": 1}),
        "TypeError: expected NodeResult, got dict",
        TypeError,
    ),
    "returns a coroutine": (
        _returning_a_coroutine,
        "TypeError: expected NodeResult, got coroutine",
        TypeError,
    ),
    "is not async and returns a dict": (
        lambda: {"a": 1},
        f"TypeError: expected NodeResult, got dict; {_NOT_ASYNC}",
        TypeError,
    ),
    "is not async and returns None": (
        lambda: None,
        f"TypeError: expected NodeResult, got NoneType; {_NOT_ASYNC}",
        TypeError,
    ),
    "is not async and returns a NodeResult": (
        lambda: NodeResult(success=True),
        f"TypeError: {_NOT_ASYNC}; it returned a plain NodeResult",
        TypeError,
    ),
    "reports a failure": (
        _returning(NodeResult(success=False, error="no luck")),
        "no luck",
        None,
    ),
    "reports a failure without a message": (
        lambda: _returning(NodeResult(success=False))(),
        "the node reported a failure without a message",
        None,
    ),
}
every_fault = pytest.mark.parametrize("fault", FAULTS)


def _faulty(fault: Callable[[], Any], isolate: Isolation = "context") -> ScriptedNode:
    """Make a node that doubles its item after a second, but for item 1, the faulty one."""

    async def double(item: int) -> NodeResult:
        await asyncio.sleep(1)
        return NodeResult(success=True, output=2 * item)

    node = ScriptedNode(lambda item: fault() if item == 1 else double(item), "faulty")
    node.isolate = isolate
    return node


class TestAFaultyItem:
    @every_fault
    @every_isolation
    @every_way
    async def test_is_a_failed_result_among_the_others(
        self, collect: Collect, isolate: Isolation, fault: str
    ) -> None:
        script, error, kind = FAULTS[fault]
        results, ended = await collect(BatchProcessor(_faulty(script, isolate)), range(4))
        assert ended is None
        assert [(result.success, result.output, result.error) for result in results] == [
            (True, 0, None),
            (False, None, error),
            (True, 4, None),
            (True, 6, None),
        ]
        exception = results[1].exception
        assert exception is None if kind is None else type(exception) is kind
        assert_only_the_caller_runs()

    @every_fault
    @every_isolation
    @every_way
    async def test_ends_a_run_that_does_not_continue_on_error(
        self, collect: Collect, isolate: Isolation, fault: str
    ) -> None:
        script, error, kind = FAULTS[fault]
        processor = BatchProcessor(_faulty(script, isolate), continue_on_error=False)
        ended = (await collect(processor, range(4))).error
        assert isinstance(ended, NodeError)
        assert str(ended) == f"node 'faulty' failed on item 1: {error}"
        assert (ended.index, ended.error) == (1, error)
        assert ended.__cause__ is None if kind is None else type(ended.__cause__) is kind
        assert_only_the_caller_runs()

    @every_fault
    @every_isolation
    async def test_is_left_out_by_a_map_node_that_continues(
        self, isolate: Isolation, fault: str
    ) -> None:
        script, error, _ = FAULTS[fault]
        node = MapNode("map", _faulty(script, isolate), continue_on_error=True)
        result = await answer(node, {"items": range(4)})
        assert (result.success, result.output) == (True, {"results": [0, 4, 6]})
        assert result.metadata["errors"] == [{"index": 1, "error": error}]
        assert_only_the_caller_runs()

    @every_fault
    @every_isolation
    async def test_fails_a_map_node_that_does_not_continue(
        self, isolate: Isolation, fault: str
    ) -> None:
        script, error, kind = FAULTS[fault]
        result = await answer(MapNode("map", _faulty(script, isolate)), {"items": range(4)})
        assert (result.success, result.output, result.error) == (False, None, f"item 1: {error}")
        assert type(result.exception) is (kind or NodeError)
        assert_only_the_caller_runs()

    @every_fault
    async def test_fails_a_pipeline_at_its_stage(self, fault: str) -> None:
        script, error, kind = FAULTS[fault]
        result = await answer(Pipeline(_faulty(script), str.upper), {"item": 1})
        assert (result.success, result.error) == (False, f"stage 'faulty': {error}")
        assert result.exception is None if kind is None else type(result.exception) is kind

    @every_way
    async def test_keeps_the_very_exception_with_its_traceback(self, collect: Collect) -> None:
        error = ValueError("msg")
        results, _ = await collect(BatchProcessor(_faulty(_raising(error))), [1])
        assert results[0].exception is error
        assert traceback.extract_tb(error.__traceback__)[-1].name == "fault"


class TestFatalErrors:
    @pytest.mark.parametrize(
        "fatal", [KeyboardInterrupt("stop"), SystemExit(3), _Doom("of one's own")], ids=repr
    )
    @pytest.mark.parametrize("continues", [False, True])
    @every_isolation
    @every_way
    async def test_propagate_after_the_run_was_cancelled_and_joined(
        self, collect: Collect, isolate: Isolation, continues: bool, fatal: BaseException
    ) -> None:
        node, probe = _dying(fatal, isolate)
        processor = BatchProcessor(node, 3, continues)
        assert (await collect(processor, [10, 0, 20, 30])).error is fatal
        assert now() == 1 + CLEAN_UP
        assert probe.started == [10, 20]
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("continues", [False, True])
    @every_isolation
    async def test_propagate_through_stages_and_pipelines(
        self, isolate: Isolation, continues: bool
    ) -> None:
        fatal = KeyboardInterrupt("stop")
        node, probe = _dying(fatal, isolate)
        stage = MapNode("map", node, "items", "items", 3, continues)
        assert await raised_by(answer(stage | repr, {"items": [10, 0, 20, 30]})) is fatal
        assert now() == 1 + CLEAN_UP
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    @every_way
    async def test_of_the_inputs_propagate_too(self, collect: Collect) -> None:
        fatal, probe = KeyboardInterrupt("stop"), Probe()

        async def inputs() -> AsyncIterator[int]:
            yield 10
            await asyncio.sleep(1)
            raise fatal

        assert (await collect(BatchProcessor(probe), inputs())).error is fatal
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    @every_way
    async def test_of_synchronous_inputs_propagate_too(self, collect: Collect) -> None:
        fatal = SystemExit(3)
        inputs = _numbers_then(fatal)
        assert (await collect(BatchProcessor(Probe()), inputs)).error is fatal
        assert_only_the_caller_runs()


def _numbers_then(error: BaseException) -> Iterator[int]:
    yield from (1, 2, 3)
    raise error


async def _numbers_asynchronously_then(error: BaseException) -> AsyncIterator[int]:
    for number in (1, 2, 3):
        yield number
    raise error


class _Unopenable:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __iter__(self) -> Iterator[int]:
        raise self.error


class _AsynchronouslyUnopenable:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __aiter__(self) -> AsyncIterator[int]:
        raise self.error


class TestInputsThatRaise:
    @pytest.mark.parametrize("make", [_numbers_then, _numbers_asynchronously_then])
    @pytest.mark.parametrize("continues", [False, True])
    @one_by_one
    async def test_midway_end_the_run_after_every_result_before(
        self, collect: Collect, continues: bool, make: Callable[[BaseException], Any]
    ) -> None:
        lost, probe = OSError("lost"), Probe()
        results, error = await collect(BatchProcessor(probe, 2, continues), make(lost))
        assert error is lost
        assert [(result.index, result.output) for result in results] == [(0, 1), (1, 2), (2, 3)]
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("make", [_numbers_then, _numbers_asynchronously_then])
    async def test_midway_let_a_batch_finish_what_came_before(
        self, make: Callable[[BaseException], Any]
    ) -> None:
        lost, probe = OSError("lost"), Probe()
        assert await raised_by(BatchProcessor(probe, 2).batch(make(lost))) is lost
        assert sorted(probe.finished) == [1, 2, 3]
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("make", [_Unopenable, _AsynchronouslyUnopenable])
    @every_way
    async def test_when_they_are_opened_end_the_run(
        self, collect: Collect, make: Callable[[Exception], Any]
    ) -> None:
        lost = OSError("lost")
        assert await collect(BatchProcessor(Probe()), make(lost)) == ([], lost)
        assert_only_the_caller_runs()

    async def test_midway_fail_a_map_node_after_what_came_before(self) -> None:
        lost, probe = OSError("lost"), Probe()
        result = await answer(MapNode("map", probe), {"items": _numbers_then(lost)})
        assert (result.success, result.error) == (False, "OSError: lost")
        assert result.exception is lost
        assert sorted(probe.finished) == [1, 2, 3]

    @one_by_one
    async def test_a_stray_cancelled_error_are_told_from_a_cancelled_run(
        self, collect: Collect
    ) -> None:
        stray = asyncio.CancelledError("stray")
        results, error = await collect(BatchProcessor(Probe()), _numbers_asynchronously_then(stray))
        assert (
            str(error) == "the inputs raised a CancelledError, although the run was not cancelled"
        )
        assert len(results) == 3


class TestInputsThatAreNone:
    @pytest.mark.parametrize(
        ("inputs", "found"),
        [
            ({"prompt": "x"}, "{'prompt': 'x'} (dict); for a single one pass [inputs]"),
            ("text", "'text' (str); for a single one pass [inputs]"),
            (b"text", "b'text' (bytes); for a single one pass [inputs]"),
            (5, "5 (int)"),
            (None, "None (NoneType)"),
        ],
    )
    async def test_are_a_type_error_at_the_call(self, inputs: Any, found: str) -> None:
        processor = BatchProcessor(Probe())
        message = f"inputs must be an iterable, async iterable or Observable of items, got {found}"
        for call in (processor.batch_as_completed, processor.observe):
            with pytest.raises(TypeError) as caught:
                call(inputs)
            assert str(caught.value) == message
        with pytest.raises(TypeError) as caught:
            await processor.batch(inputs)
        assert str(caught.value) == message


class TestConcurrencyLimits:
    @pytest.mark.parametrize(
        "make",
        [
            lambda limit: BatchProcessor(len, max_concurrency=limit),
            lambda limit: MapNode("map", len, max_concurrency=limit),
            lambda limit: FilterNode("filter", len, max_concurrency=limit),
            lambda limit: flat_map(len, max_concurrency=limit),
        ],
        ids=["BatchProcessor", "MapNode", "FilterNode", "flat_map"],
    )
    @pytest.mark.parametrize(
        ("limit", "error"),
        [
            (0, ValueError),
            (-1, ValueError),
            (math.nan, ValueError),
            (True, TypeError),
            (2.5, TypeError),
            ("5", TypeError),
            (None, TypeError),
        ],
    )
    def test_that_make_no_sense_are_refused_at_construction(
        self, make: Callable[[Any], object], limit: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=r"^max_concurrency must be "):
            make(limit)


class TestAClosedIterator:
    @pytest.mark.parametrize("taken", [0, 1, 2])
    async def test_is_an_error_to_use_and_never_a_silent_end(self, taken: int) -> None:
        results = BatchProcessor(Probe()).batch_as_completed([1, 2])
        for _ in range(taken):
            await anext(results)
        await results.aclose()
        for _ in range(2):
            with pytest.raises(
                RuntimeError, match=r"^the iterator is closed; make a new one to run again$"
            ):
                await anext(results)

    async def test_is_an_error_also_for_who_was_waiting(self) -> None:
        results = BatchProcessor(Probe()).batch_as_completed([10])
        waiting = asyncio.create_task(raised_by(anext(results)))
        await asyncio.sleep(1)
        await results.aclose()
        assert str(await waiting) == "the iterator is closed; make a new one to run again"

    async def test_but_one_at_its_end_stays_at_its_end(self) -> None:
        results = BatchProcessor(Probe()).batch_as_completed([1])
        assert [result.output async for result in results] == [1]
        assert [result.output async for result in results] == []

    async def test_and_one_that_failed_stays_failed(self) -> None:
        lost = OSError("lost")
        results = BatchProcessor(Probe()).batch_as_completed(_Unopenable(lost))
        for _ in range(2):
            assert await raised_by(anext(results)) is lost


def _dying(fatal: BaseException, isolate: Isolation) -> tuple[ScriptedNode, Probe]:
    """Make a node that raises something fatal, on item 0, after a second."""
    probe = Probe()

    async def script(item: float) -> NodeResult:
        if item == 0:
            await asyncio.sleep(1)
            raise fatal
        return NodeResult(success=True, output=await probe(item))

    node = ScriptedNode(script, "dying")
    node.isolate = isolate
    return node, probe
