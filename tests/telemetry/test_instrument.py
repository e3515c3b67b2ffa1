"""Which runs are reported, by whom, and until when."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode
from nadoo_flow.operators import flat_map
from nadoo_flow.telemetry import instrument

from ..stand_ins import double, slowly
from ..threads import in_loops
from .recorder import Recorder, outcomes_of

node = FunctionNode(slowly, "node")


class TestTargets:
    async def test_a_processor(self) -> None:
        recorder, processor = Recorder(), BatchProcessor(node)
        recorder.instrument(processor)
        await processor.batch([1, 2])
        await BatchProcessor(node).batch([3])
        assert recorder.list_paths() == ["run node", "run node > node", "run node > node"]

    async def test_a_stage(self) -> None:
        recorder, stage = Recorder(), MapNode("stage", node)
        recorder.instrument(stage)
        await stage.run({"items": [1]})
        assert [output async for output in stage.stream([2])] == [2]
        await MapNode("other", node).run({"items": [1]})
        assert recorder.list_paths() == ["run stage", "run stage", *["run stage > stage"] * 2]

    async def test_a_stage_of_a_chain(self) -> None:
        recorder = Recorder()
        first, second = MapNode("a", node, output_key="items"), FilterNode("b", bool)
        recorder.instrument(second)
        await (first | second).run({"items": [1]})
        assert recorder.list_paths() == ["run a | b", "run a | b > a", "run a | b > b"]

    async def test_all_runs(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(node).batch([1])
            await MapNode("stage", node).run({"items": [1]})
            async with MapNode("stream", node).stream([1]) as outputs:
                assert [output async for output in outputs] == [1]
            from reactivex import of

            assert await of(1).pipe(flat_map(node)) == 1
        await BatchProcessor(node).batch([1])
        assert recorder.list_paths() == [
            *["run node", "run node"],
            *["run node > node"] * 2,
            *["run stage", "run stage > stage", "run stream", "run stream > stream"],
        ]

    @pytest.mark.parametrize(
        ("target", "shown"),
        [
            (BatchProcessor, "<class 'nadoo_flow.batch.processor.BatchProcessor'> (type)"),
            (4, "4 (int)"),
        ],
    )
    def test_what_has_no_runs_is_refused(self, target: Any, shown: str) -> None:
        with pytest.raises(TypeError) as caught:
            instrument(target)
        wanted = "target must be a BatchProcessor or a list stage, or left out for all runs"
        assert str(caught.value) == f"{wanted}, got {shown}"

    def test_the_option_is_checked(self) -> None:
        with pytest.raises(TypeError, match="trace_per_item"):
            instrument(trace_per_item="yes")  # type: ignore[arg-type]

    def test_without_opentelemetry_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "nadoo_flow.telemetry.run_telemetry", raising=False)
        monkeypatch.setitem(sys.modules, "opentelemetry", None)
        with pytest.raises(ImportError, match=r"pip install 'nadoo-flow\[otel\]'"):
            instrument()

    async def test_without_an_sdk_nothing_happens(self) -> None:
        with instrument():
            results = await BatchProcessor(node).batch([1])
        assert results.outputs == [1]


class TestSeveral:
    async def test_the_latest_of_a_processor_counts(self) -> None:
        first, second, processor = Recorder(), Recorder(), BatchProcessor(node)
        first.instrument(processor)
        with second.instrument(processor):
            await processor.batch([1])
        await processor.batch([1])
        assert first.list_paths() == second.list_paths() == ["run node", "run node > node"]

    async def test_that_of_the_processor_counts_before_that_of_all_runs(self) -> None:
        own, general, processor = Recorder(), Recorder(), BatchProcessor(node)
        with general.instrument(), own.instrument(processor):
            await processor.batch([1])
        assert (len(own.spans), len(general.spans)) == (2, 0)

    async def test_the_same_twice_reports_once(self) -> None:
        recorder, processor = Recorder(), BatchProcessor(node)
        recorder.instrument(processor)
        recorder.instrument(processor)
        await processor.batch([1])
        assert recorder.list_paths() == ["run node", "run node > node"]
        assert recorder.count("nadoo_flow.items") == {("node", "finished"): 1}

    async def test_undoing_it_twice_leaves_the_others(self) -> None:
        recorder, processor = Recorder(), BatchProcessor(node)
        kept, undone = recorder.instrument(processor), recorder.instrument(processor)
        undone.uninstrument()
        undone.uninstrument()
        await processor.batch([1])
        assert len(recorder.spans) == 2
        kept.uninstrument()
        await processor.batch([1])
        assert len(recorder.spans) == 2


class TestMeanwhile:
    async def test_a_run_that_has_begun_is_not_reported(self) -> None:
        recorder, processor = Recorder(), BatchProcessor(node, max_concurrency=1)
        async with processor.batch_as_completed([1, 1]) as results:
            await anext(results)
            recorder.instrument(processor)
            await anext(results)
        assert recorder.spans == []

    async def test_a_run_that_is_reported_is_so_to_its_end(self) -> None:
        recorder, processor = Recorder(), BatchProcessor(node, max_concurrency=1)
        instrumentation = recorder.instrument(processor)
        async with processor.batch_as_completed([1, 1]) as results:
            await anext(results)
            instrumentation.uninstrument()
            assert [result.success async for result in results] == [True]
        assert recorder.list_paths() == ["run node", *["run node > node"] * 2]

    async def test_a_copy_is_not_reported(self) -> None:
        recorder, stage = Recorder(), MapNode("stage", double)
        recorder.instrument(stage)
        await deepcopy(stage).run({"items": [1]})
        assert recorder.spans == []


class TestNested:
    async def test_a_run_inside_an_item_is_below_its_span(self) -> None:
        recorder = Recorder()
        processor = BatchProcessor(MapNode("inner", node))
        recorder.instrument(processor)
        await processor.batch([{"items": [1, 2]}])
        assert recorder.list_paths() == [
            "run inner",
            "run inner > inner",
            "run inner > inner > run inner",
            *["run inner > inner > run inner > inner"] * 2,
        ]

    async def test_a_run_is_below_the_span_around_it(self) -> None:
        recorder = Recorder()
        with recorder.instrument(), recorder.tracer.start_as_current_span("request"):
            await BatchProcessor(node).batch([1])
        assert recorder.list_paths() == [
            "request",
            "request > run node",
            "request > run node > node",
        ]

    async def test_the_source_is_below_the_span_of_the_run(self) -> None:
        recorder = Recorder()

        async def pages() -> AsyncIterator[int]:
            with recorder.tracer.start_as_current_span("page"):
                yield 1

        with recorder.instrument():
            await BatchProcessor(node).batch(pages())
        assert "run node > page" in recorder.list_paths()

    async def test_the_span_of_the_caller_stays_the_current_one(self) -> None:
        recorder = Recorder()
        with recorder.instrument(), recorder.tracer.start_as_current_span("request"):
            async with BatchProcessor(node).batch_as_completed([1, 2]) as results:
                async for _ in results:
                    recorder.tracer.start_span("between").end()
        assert recorder.list_paths().count("request > between") == 2

    async def test_a_subclass_that_builds_on_the_inherited_method_is_reported_once(self) -> None:
        class Counted(BatchProcessor[float, float]):
            async def batch_as_completed(self, inputs: Any, context: Any = None) -> Any:  # type: ignore[override]
                async for result in super().batch_as_completed(inputs):
                    yield result

        recorder, processor = Recorder(), Counted(node)
        recorder.instrument(processor)
        assert len(await processor.batch([1, 2])) == 2
        assert recorder.list_paths() == ["run node", *["run node > node"] * 2]
        assert recorder.count("nadoo_flow.items") == {("node", "finished"): 2}


def test_loops_in_threads_share_it() -> None:
    recorder, processor = Recorder(), BatchProcessor(double)
    recorder.instrument(processor)

    async def use(_: int) -> int:
        return len(await processor.batch(range(5)))

    assert in_loops(3, 4, use) == [[5, 5, 5]] * 4
    assert recorder.list_paths() == [*["run double"] * 12, *["run double > double"] * 60]
    assert set(outcomes_of(recorder.find("run double"))) == {"completed"}
    assert recorder.count("nadoo_flow.items") == {("double", "finished"): 60}
    assert recorder.open == 0
