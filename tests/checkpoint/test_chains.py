"""A chain with a checkpoint: what each stage has made of an item is not made again."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow import (
    BatchProcessor,
    CheckpointError,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    MicroBatchNode,
    NodeResult,
    OperatorNode,
    ReduceNode,
    route,
)
from nadoo_flow.checkpoint import StepRecord, StepsFile

from .chains import Work, add, copy_files, fail, halves, refuse, run, stream
from .helpers import real

NUMBERS = range(100)


async def test_rule_r60_what_is_recorded_is_not_executed_again(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    first, second = Work(), Work()
    assert await run(first.chain(), NUMBERS, path) == halves(NUMBERS)
    assert await run(second.chain(), NUMBERS, path) == halves(NUMBERS)
    assert first.executed.of("square") == first.executed.of("is_even") == list(NUMBERS)
    assert first.executed.of("halve") == list(range(0, 100, 2))
    assert second.executed.total() == 0
    assert os.listdir(tmp_path) == ["chain.sqlite"]


async def test_rule_r60_only_the_missing_pairs_of_stage_and_item_are_executed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chain.sqlite"
    first, second = Work(failing=[50]), Work()
    error = await fail(run(first.chain(), NUMBERS, path))
    assert "ValueError: not 50" in str(error)
    assert await run(second.chain(), NUMBERS, path) == halves(NUMBERS)
    # At most one item for each lane was in work when the run failed.
    assert sum((first.executed & second.executed).values()) <= 30
    assert set(first.executed | second.executed) == set((await executed_by_all()).executed)


async def executed_by_all() -> Work:
    work = Work()
    await work.chain().run({"items": NUMBERS})
    return work


async def test_rule_r60_a_copy_of_the_files_at_any_moment_repeats_one_item_a_lane(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chain.sqlite"
    copies = []

    class Copying(Work):
        async def is_even(self, data: dict[str, int]) -> bool:
            if data["number"] % 7 == 3:
                folder = tmp_path / f"at {data['number']}"
                copies.append((copy_files(path, folder), self.executed.copy()))
            return await super().is_even(data)

    assert await run(Copying().chain(), NUMBERS, path) == halves(NUMBERS)
    assert len(copies) == 14
    for copy, before in copies:
        work = Work()
        assert await run(work.chain(), NUMBERS, copy) == halves(NUMBERS)
        assert sum((before & work.executed).values()) <= 30
        assert max(work.executed.values()) == 1


async def test_rule_r61_an_output_that_is_handed_out_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    seen = []
    async with Work().chain().stream(NUMBERS, checkpoint=path) as outputs:
        async for output in outputs:
            seen.append(output)
            if len(seen) == 20:
                copy = copy_files(path, tmp_path / "copy")
                break
    work = Work()
    assert sorted(await stream(work.chain(), NUMBERS, copy)) == halves(NUMBERS)
    assert {number * number // 2 for number in work.executed.of("halve")}.isdisjoint(seen)


async def test_a_stream_that_is_left_records_what_it_had_finished(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    first, second = Work(), Work()
    async with first.chain().stream(NUMBERS, checkpoint=path) as outputs:
        async for _ in outputs:
            break
    assert sorted(await stream(second.chain(), NUMBERS, path)) == halves(NUMBERS)
    assert sum((first.executed & second.executed).values()) <= 30


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_stream_is_in_order_and_names_its_source_items(
    tmp_path: Path, resumed: bool
) -> None:
    path = tmp_path / "chain.sqlite"
    if resumed:
        await run(Work(failing=[77]).chain(continue_on_error=True), range(90), path)
    outputs = await stream(Work().chain(), NUMBERS, path, ordered=True, indexed=True)
    assert outputs == [(number, number * number // 2) for number in range(0, 100, 2)]


async def test_a_live_source_is_subscribed_to_at_once_and_loses_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        source: Subject[int] = Subject()
        outputs = Work().chain().observe(source, checkpoint=tmp_path / "chain.sqlite")
        collected = asyncio.ensure_future(outputs.pipe(ops.to_list()))
        await asyncio.sleep(0)
        for number in NUMBERS:
            source.on_next(number)
        source.on_completed()
        assert sorted(await collected) == halves(NUMBERS)


async def test_rule_r64_failed_items_run_again_and_the_others_do_not(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    first, second = Work(failing=[4, 5, 6]), Work(failing=[6])
    await run(first.summing(continue_on_error=True), NUMBERS, path)
    total = await run(second.summing(continue_on_error=True), NUMBERS, path)
    assert total == sum(halves(set(NUMBERS) - {6}))
    assert second.executed.of("square") == [4, 5, 6]
    assert second.executed.of("is_even") == [4, 5]
    assert second.executed.of("halve") == [4]


async def test_a_reduce_folds_again_what_is_recorded(tmp_path: Path) -> None:
    for work in (Work(), Work()):
        assert await run(work.summing(), NUMBERS, tmp_path / "a") == sum(halves(NUMBERS))
    assert work.executed.total() == 0


async def test_a_reduce_alone_has_a_checkpoint_too(tmp_path: Path) -> None:
    for _ in range(2):
        assert await run(ReduceNode("sum", add, 0), NUMBERS, tmp_path / "a") == sum(NUMBERS)


async def test_a_single_stage_is_a_chain_of_one(tmp_path: Path) -> None:
    first, second = Work(), Work()
    for work in (first, second):
        assert len(await run(work.square_stage(), NUMBERS, tmp_path / "a")) == 100
    assert second.executed.total() == 0


async def test_more_items_than_before_go_on_behind_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    await run(Work().chain(), range(40), path)
    work = Work()
    assert await run(work.chain(), NUMBERS, path) == halves(NUMBERS)
    assert work.executed.of("square") == list(range(40, 100))


async def test_no_items_make_and_close_the_file(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    assert await run(Work().chain(), [], path) == []
    assert path.exists()
    assert await run(Work().chain(), NUMBERS, path) == halves(NUMBERS)


@pytest.mark.parametrize("stage", [MapNode, FlatMapNode])
async def test_what_was_used_is_saved_in_a_later_run(stage: Any, tmp_path: Path) -> None:
    async def ask(number: int) -> NodeResult:
        return NodeResult(True, [number], metadata={"usage": {"tokens": number, "raw": object()}})

    chain = stage("ask", ask)
    for name in ("usage", "saved"):
        result = await BatchProcessor(Wrapped(chain, tmp_path / "a")).batch([{"items": [1, 2, 3]}])
        assert result[0].metadata[name] == {"tokens": 6}


class Wrapped(FunctionNode):
    """Executes a chain with a checkpoint, and hands out the metadata of the whole."""

    def __init__(self, chain: Any, path: Path) -> None:
        from nadoo_flow.nodes import NodeContext, WorkflowContext
        from nadoo_flow.stages.resuming import make_chain_checkpoint, use_checkpoint

        async def execute(data: Any) -> NodeResult:
            with use_checkpoint(make_chain_checkpoint(path, None)):
                result: NodeResult = await chain.execute(NodeContext(data), WorkflowContext())
                return result

        super().__init__(execute, "wrapped")


async def test_routes_and_the_choice_of_a_route_resume(tmp_path: Path) -> None:
    chosen, worked = [], []

    async def choose(number: int) -> str:
        chosen.append(number)
        return "odd" if number % 2 else "even"

    def work(number: int) -> int:
        worked.append(number)
        return -number

    def chain() -> Any:
        routes = {
            "odd": MapNode("negate", work),
            "even": FilterNode("drop", lambda number: number % 4 == 0, output_key="results"),
        }
        return route(choose, routes, node_id="route")

    for _ in range(2):
        expected = [-n if n % 2 else n for n in range(20) if n % 2 or n % 4 == 0]
        assert await run(chain(), range(20), tmp_path / "a") == expected
    assert sorted(chosen) == list(range(20))
    assert sorted(worked) == list(range(1, 20, 2))


class Described:
    """Behind a stage that is not recorded items are recognised by what they contain."""

    @staticmethod
    def chain(work: Work, size: int) -> Any:
        async def add_all(numbers: list[int]) -> int:
            work.executed["add", sum(numbers)] += 1
            await asyncio.sleep(0)
            return sum(numbers)

        def negate(number: int) -> int:
            work.executed["negate", number] += 1
            return -number

        return (
            work.square_stage(continue_on_error=True)
            | OperatorNode(
                ops.map(lambda data: data["square"]),
                ops.buffer_with_count(size),
                output_key="items",
                node_id="buffer",
            )
            | MapNode("add", add_all, output_key="items")
            | MapNode("negate", negate)
        )


async def test_rule_r63_behind_operators_items_are_what_they_contain(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    first, second, third = Work(), Work(), Work()
    sums = await run(Described.chain(first, 5), NUMBERS, path)
    assert await run(Described.chain(second, 5), NUMBERS, path) == sums
    assert second.executed.total() == 0
    # Other groups are other items, apart from the last ones of the same numbers.
    await run(Described.chain(third, 10), NUMBERS, path)
    assert third.executed.of("square") == []
    assert len(third.executed.of("add")) == 10


async def test_rule_r63_items_that_come_later_move_the_others_and_change_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chain.sqlite"
    first, second = Work(failing=[3]), Work()
    await run(Described.chain(first, 1), NUMBERS, path)
    sums = await run(Described.chain(second, 1), NUMBERS, path)
    assert sums == [-number * number for number in NUMBERS]
    assert second.executed.of("add") == second.executed.of("negate") == [9]


async def test_rule_r63_equal_items_have_each_a_record(tmp_path: Path) -> None:
    numbers = iter(range(100))

    def count(_: int) -> int:
        return next(numbers)

    def chain() -> Any:
        return OperatorNode(ops.map(lambda _: 0), output_key="items") | MapNode("count", count)

    outputs = sorted(await run(chain(), range(10), tmp_path / "a"))
    assert outputs == list(range(10))
    assert sorted(await run(chain(), range(12), tmp_path / "a")) == list(range(12))


async def test_a_key_keeps_the_order_of_items_also_when_some_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    order: list[int] = []
    failing = {31}

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        order.append(number)
        if number in failing:
            failing.clear()
            raise ValueError("once")
        return number

    def chain() -> Any:
        return MapNode("work", work, key=lambda number: number % 3)

    await fail(run(chain(), range(60), path))
    done = set(order)
    order.clear()
    assert await run(chain(), range(60), path) == list(range(60))
    assert 31 in order
    assert len(done.intersection(order)) <= 10
    for rest in range(3):
        assert [n for n in order if n % 3 == rest] == sorted(n for n in order if n % 3 == rest)


async def test_a_failing_key_fails_its_item_alone(tmp_path: Path) -> None:
    def find_key(number: int) -> int:
        if number == 5:
            raise LookupError("no key")
        return number

    chain: Any = MapNode("map", lambda n: n, continue_on_error=True, key=find_key)
    for _ in range(2):
        assert await run(chain, range(8), tmp_path / "a") == [0, 1, 2, 3, 4, 6, 7]


class Pickled:
    """A codec for files that only their owner reads."""

    def encode(self, value: object) -> bytes:
        return pickle.dumps(value)

    def decode(self, data: bytes) -> Any:
        return pickle.loads(data)


async def test_a_codec_of_ones_own_stores_any_output(tmp_path: Path) -> None:
    calls = []

    def pair(value: Any) -> Any:
        calls.append(value)
        return (value, {1: b"bytes"})

    chain: Any = MapNode("pair", pair, output_key="items") | MapNode("again", pair)
    for _ in range(2):
        outputs = await run(chain, [len, ord], tmp_path / "a", codec=Pickled())
        assert outputs == [((f, {1: b"bytes"}), {1: b"bytes"}) for f in (len, ord)]
    assert len(calls) == 4


async def test_a_codec_may_use_its_buffer_again(tmp_path: Path) -> None:
    class Buffered(Pickled):
        buffer = bytearray()

        def encode(self, value: object) -> bytes:
            self.buffer[:] = pickle.dumps(value)
            return self.buffer  # type: ignore[return-value]

    for _ in range(2):
        path = tmp_path / "a"
        assert await run(MapNode("double", lambda n: 2 * n), range(3), path, codec=Buffered()) == [
            0,
            2,
            4,
        ]


async def test_a_codec_that_returns_no_bytes_fails_its_item(tmp_path: Path) -> None:
    class Texts(Pickled):
        def encode(self, value: object) -> bytes:
            return str(value)  # type: ignore[return-value]

    chain = MapNode("double", lambda n: 2 * n)
    error = await fail(run(chain, [1], tmp_path / "a", codec=Texts()))
    assert "encode() of the codec must return bytes, got '2'" in str(error.error)


async def test_an_output_that_is_no_json_fails_its_item_and_names_codec(tmp_path: Path) -> None:
    def pair(number: int) -> Any:
        return (number, number) if number == 1 else number

    path = tmp_path / "chain.sqlite"
    error = await fail(run(MapNode("pair", pair), range(3), path))
    assert error.error == (
        "item 1: TypeError: the output cannot be recorded: TypeError: (1, 1) (tuple) would not "
        "come back from JSON as it is; another codec= can store what JSON cannot"
    )
    goes_on = MapNode("pair", pair, continue_on_error=True)
    assert await run(goes_on, range(3), path) == [0, 2]


async def test_a_mutable_item_is_recorded_as_it_was(tmp_path: Path) -> None:
    def make(number: int) -> dict[str, int]:
        return {"n": number}

    def spoil(data: dict[str, int]) -> int:
        return data.pop("n")

    for _ in range(2):
        chain: Any = MapNode("make", make, output_key="items") | MapNode("spoil", spoil)
        assert await run(chain, range(5), tmp_path / "a") == list(range(5))


async def test_a_chain_inside_an_item_does_not_take_the_checkpoint(tmp_path: Path) -> None:
    async def inner(number: int) -> Any:
        return (await MapNode("inner", lambda n: n + 1).run({"items": [number]}))["results"]

    assert await run(MapNode("outer", inner), range(3), tmp_path / "a") == [[1], [2], [3]]


async def test_a_chain_runs_twice_at_a_time_only_with_two_files(tmp_path: Path) -> None:
    chain = Work().chain()
    path = tmp_path / "a"
    in_use = f"the checkpoint {str(path)!r} is in use by another run"
    started, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        async def __aiter__(self) -> AsyncIterator[int]:
            yield 0
            await go_on.wait()

    observable = chain.observe(Slow(), checkpoint=path)
    ended = asyncio.ensure_future(observable.pipe(ops.do_action(lambda _: started.set())))
    await started.wait()
    assert (await refuse(run(chain, NUMBERS, path))).startswith(f"{in_use} or program: ")
    with pytest.raises(CheckpointError) as caught:
        await observable
    assert str(caught.value) == in_use
    assert await run(chain, NUMBERS, tmp_path / "b") == halves(NUMBERS)
    go_on.set()
    assert await ended == 0


async def test_a_node_that_cancels_its_own_task_is_recorded_all_the_same(tmp_path: Path) -> None:
    calls = []

    async def work(number: int) -> int:
        calls.append(number)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return number

    for _ in range(2):
        chain = MapNode("work", work, continue_on_error=True)
        assert await run(chain, range(20), tmp_path / "a") == list(range(20))
    assert sorted(calls) == list(range(20))


async def test_items_in_tasks_of_their_own_are_recorded(tmp_path: Path) -> None:
    work = Work()
    for _ in range(2):
        node = FunctionNode(work.square, "square")
        node.isolate = "task"
        chain = MapNode("square", node, output_key="items") | work.even_stage()
        assert len(await run(chain, NUMBERS, tmp_path / "a")) == 50
    assert work.executed.total() == 200


async def test_rule_r62_another_chain_is_refused_by_name_and_executes_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chain.sqlite"
    await run(Work().chain(), NUMBERS, path)
    recorded = (
        f"the checkpoint {str(path)!r} belongs to the chain 'square' (MapNode of square) | "
        "'even' (FilterNode of is_even) | 'halve' (MapNode of halve), not to the "
    )
    work = Work()
    others = {
        "chain 'square' (MapNode of square) | 'even' (FilterNode of is_even)": (
            work.square_stage() | work.even_stage()
        ),
        "stage 'square' (MapNode of square)": work.square_stage(),
        "chain 'square' (MapNode of square) | 'halve' (MapNode of halve) | "
        "'even' (FilterNode of is_even)": (
            work.square_stage() | work.halve_stage() | work.even_stage()
        ),
        "chain 'square' (MapNode of square) | 'odd' (FilterNode of is_even) | "
        "'halve' (MapNode of halve)": (
            work.square_stage()
            | FilterNode("odd", work.is_even, output_key="items")
            | work.halve_stage()
        ),
        "chain 'square' (MapNode of halve) | 'even' (FilterNode of is_even) | "
        "'halve' (MapNode of halve)": (
            MapNode("square", work.halve, output_key="items")
            | work.even_stage()
            | work.halve_stage()
        ),
    }
    for name, chain in others.items():
        for start in (run, stream):
            source = NUMBERS
            assert await refuse(start(chain, source, path)) == f"{recorded}{name}; use another file"
    assert work.executed.total() == 0
    again = Work()
    await run(again.chain(), NUMBERS, path)
    assert again.executed.total() == 0


async def test_rule_r62_other_items_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    await run(Work().chain(), NUMBERS, path)
    others = [number + (number == 7) for number in NUMBERS]
    work = Work()
    assert await refuse(run(work.chain(), others, path)) == (
        f"the checkpoint {str(path)!r} belongs to other inputs: item 7 was "
        "7 (sha256 7902699b…), but is now 8 (sha256 2c624232…); use another file"
    )
    assert work.executed.total() == 0


async def test_an_item_without_a_fingerprint_is_refused_before_it_is_paid_for(
    tmp_path: Path,
) -> None:
    work = Work()
    message = await refuse(run(work.chain(), [len], tmp_path / "a"))
    assert message.startswith("item 0: the input <built-in function len>")
    assert work.executed.total() == 0


async def test_the_checkpoint_error_of_an_item_is_that_of_the_item(tmp_path: Path) -> None:
    async def inner(number: int) -> Any:
        return await run(Work().chain(), [number], tmp_path / "none" / "a")

    for options in ({}, {"checkpoint": tmp_path / "b"}):
        error = await fail(MapNode("outer", inner).run({"items": [5]}, **options))
        assert error.error.startswith("item 0: CheckpointError: the checkpoint")
        assert isinstance(error.__cause__, CheckpointError)


async def test_an_execute_of_ones_own_that_uses_no_checkpoint_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Own(MapNode[int, int]):
        async def execute(self, *contexts: Any) -> NodeResult:
            return NodeResult(True, {"results": []})

    class Calling(MapNode[int, int]):
        async def execute(self, *contexts: Any) -> NodeResult:
            return await super().execute(*contexts)

    await run(Calling("calling", len), ["item"], tmp_path / "a")
    assert caplog.messages == []
    await run(Own("own", len), ["item"], tmp_path / "b")
    assert caplog.messages == ["Own('own') overrides execute, and has not used its checkpoint"]


@real
async def test_a_micro_batch_waits_for_no_item_that_waits_for_the_disk(tmp_path: Path) -> None:
    sizes: list[int] = []

    async def double(numbers: list[int]) -> list[int]:
        sizes.append(len(numbers))
        return [2 * number for number in numbers]

    for _ in range(2):
        batching = MicroBatchNode(double, max_size=64, max_wait=1000)
        outputs = await run(MapNode("double", batching), NUMBERS, tmp_path / "a")
        assert outputs == [2 * number for number in NUMBERS]
    assert sum(sizes) == 100


async def test_the_checkpoint_of_a_batch_is_none_of_a_chain(tmp_path: Path) -> None:
    batch, chain = tmp_path / "batch", tmp_path / "chain"
    node = Work().square_stage()
    await BatchProcessor(node, checkpoint=batch).batch([{"items": [1]}])
    await run(node, [1], chain)
    assert await refuse(run(node, [1], batch)) == (
        f"the checkpoint {str(batch)!r} is that of a batch, not of a chain of stages; "
        "use another file"
    )
    assert await refuse(BatchProcessor(node, checkpoint=chain).batch([{"items": [1]}])) == (
        f"the checkpoint {str(chain)!r} is that of a chain of stages, not of a batch; "
        "use another file"
    )


async def test_arguments_that_cannot_work_are_refused_at_the_call(tmp_path: Path) -> None:
    chain = Work().chain()
    with pytest.raises(TypeError, match="checkpoint must be the path of a file, got 5"):
        chain.stream([1], checkpoint=5)
    with pytest.raises(ValueError, match="pass checkpoint= too"):
        chain.observe([1], codec=Pickled())
    with pytest.raises(TypeError, match="checkpoint"):
        await chain.run({"items": [1]}, checkpoint=b"file")
    message = await refuse(run(chain, [1], tmp_path / "none" / "file"))
    assert "in a folder that does not exist" in message


async def test_the_lanes_of_all_stages_share_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = []
    write = StepsFile.write

    def write_and_count(file: StepsFile, records: Iterable[StepRecord]) -> None:
        group = list(records)
        groups.append(len(group))
        write(file, group)

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    monkeypatch.setattr(StepsFile, "write", write_and_count)
    stages = [MapNode(name, work, "items", "items", max_concurrency=10) for name in "abc"]
    await run(stages[0] | stages[1] | stages[2], NUMBERS, tmp_path / "chain.sqlite")
    # Those of the second and third stage join one after the other, and end so.
    assert groups == [10, 20, *[30] * 8, 20, 10]
