"""Trace: a bounded record of runs, from which pictures are made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode, Trace
from nadoo_flow.policies import retry

from ..hostile_texts import parsed
from ..stand_ins import double, raised_by, slowly


class TestRecording:
    async def test_a_batch_gives_its_trace_with_its_results(self) -> None:
        results = await BatchProcessor(FunctionNode(slowly, "node"), trace=True).batch([2, 1])
        assert results.trace is not None
        assert [(e.time, e.index, e.kind) for e in results.trace.events] == [
            (0, 0, "started"),
            (0, 1, "started"),
            (1, 1, "finished"),
            (2, 0, "finished"),
        ]

    async def test_each_batch_has_a_trace_of_its_own(self) -> None:
        processor = BatchProcessor(double, trace=True)
        first, second = await processor.batch([1]), await processor.batch([1, 2])
        assert first.trace is not None
        assert second.trace is not None
        assert (len(first.trace.events), len(second.trace.events)) == (2, 4)

    async def test_without_one_there_is_none(self) -> None:
        assert (await BatchProcessor(double).batch([1])).trace is None

    async def test_a_trace_of_ones_own_records_every_run_of_a_processor(self) -> None:
        trace = Trace()
        processor = BatchProcessor(double, trace=trace)
        results = await processor.batch([1])
        assert results.trace is trace
        async for _ in processor.batch_as_completed([1, 2]):
            pass
        assert len(trace.events) == 6

    @pytest.mark.parametrize(
        "stage",
        [
            MapNode("map", double),
            MapNode("map", double) | FilterNode("filter", bool, "results", "kept"),
            MapNode("map", double) | (lambda output: {"items": output["results"]}),
        ],
        ids=["stage", "chain", "pipeline"],
    )
    async def test_stages_chains_and_pipelines_are_recorded(self, stage: Any) -> None:
        trace = Trace()
        await stage.run({"items": [1, 2]}, trace=trace)
        assert [e.index for e in trace.events if e.stage == "map"] == [0, 0, 1, 1]

    async def test_streams_and_observables_are_recorded(self) -> None:
        trace = Trace()
        async for _ in MapNode("map", double).stream([1], trace=trace):
            pass
        await MapNode("map", double).observe([1], trace=trace)
        assert [e.kind for e in trace.events] == ["started", "finished"] * 2

    async def test_stages_inside_items_are_left_to_their_own_traces(self) -> None:
        outer, inner = Trace(), Trace()

        async def nested(_: Any) -> Any:
            return await MapNode("inner", double).run({"items": [1]}, trace=inner)

        await MapNode("outer", nested).run({"items": [1]}, trace=outer)
        assert {e.stage for e in outer.events} == {"outer"}
        assert {e.stage for e in inner.events} == {"inner"}

    async def test_a_run_that_fails_is_recorded_up_to_its_end(self) -> None:
        trace = Trace()
        stage = MapNode("map", lambda x: 1 / x, max_concurrency=1)
        await raised_by(stage.run({"items": [1, 0, 1]}, trace=trace))
        assert [e.kind for e in trace.events] == ["started", "finished", "started", "failed"]

    @pytest.mark.parametrize("trace", ["yes", 1, object()])
    async def test_any_other_value_is_an_error(self, trace: Any) -> None:
        with pytest.raises(TypeError, match="trace must be"):
            BatchProcessor(double, trace=trace)
        with pytest.raises(TypeError, match="trace must be"):
            await MapNode("map", double).run({"items": [1]}, trace=trace)

    async def test_a_run_that_only_gives_its_output_takes_no_true(self) -> None:
        with pytest.raises(TypeError, match="trace must be a Trace, got True"):
            await MapNode("map", double).run({"items": [1]}, trace=True)  # type: ignore[arg-type]


class TestBound:
    async def test_the_oldest_events_are_left_out_and_counted(self) -> None:
        trace = Trace(limit=3)
        await BatchProcessor(slowly, 1, trace=trace).batch([1, 1, 1])
        assert [(e.index, e.kind) for e in trace.events] == [
            (1, "finished"),
            (2, "started"),
            (2, "finished"),
        ]
        assert trace.left_out == 3
        assert "3 older events were left out" in trace.marbles().svg
        assert "3 older events were left out" in trace.timeline().svg

    async def test_the_runs_are_bounded_too(self) -> None:
        trace = Trace(limit=2)
        for _ in range(5):
            await BatchProcessor(double, trace=trace).batch([1])
        assert repr(trace) == "<Trace of 2 events of 2 runs, 8 left out>"

    @pytest.mark.parametrize("limit", [0, -1])
    def test_the_limit_must_be_positive(self, limit: int) -> None:
        with pytest.raises(ValueError, match="limit must be at least 1"):
            Trace(limit=limit)


class TestPictures:
    async def test_they_can_be_shown_and_saved(self, tmp_path: Path) -> None:
        trace = Trace()
        await MapNode("map", double).run({"items": ["שלום"]}, trace=trace)
        for drawn in (trace.marbles(), trace.timeline()):
            assert drawn._repr_svg_() == drawn.svg
            assert drawn.svg in drawn._repr_html_()
            drawn.save(tmp_path / "x.svg")
            assert (tmp_path / "x.svg").read_text(encoding="utf-8") == drawn.svg
            parsed(drawn.svg)
            assert repr(drawn).endswith("characters of SVG; save it with .save()>")

    @pytest.mark.slow
    async def test_ten_thousand_items_stay_below_a_megabyte(self) -> None:
        trace = Trace()
        node = FunctionNode(slowly).pipe(retry(1))
        chain = MapNode("one", node, "a", "b", 50) | MapNode("two", slowly, "b", "c", 7)
        await chain.run({"a": [index % 17 + 1 for index in range(10_000)]}, trace=trace)
        for drawn in (trace.marbles(), trace.timeline()):
            assert 20_000 < len(drawn.svg.encode()) < 1_000_000

    @pytest.mark.slow
    async def test_so_do_a_few_items_that_pass_many_stages(self) -> None:
        trace = Trace()
        chain: Any = MapNode("stage 0", slowly, "key 0", "key 1", 50)
        for number in range(1, 12):
            chain = chain | MapNode(
                f"stage {number}", slowly, f"key {number}", f"key {number + 1}", 50
            )
        await chain.run({"key 0": [index % 17 + 1 for index in range(1_500)]}, trace=trace)
        assert 20_000 < len(trace.marbles().svg.encode()) < 1_000_000

    async def test_pictures_can_be_made_while_the_run_goes_on(self) -> None:
        trace = Trace()
        running = asyncio.ensure_future(BatchProcessor(slowly, trace=trace).batch([1, 9]))
        await asyncio.sleep(5)
        parsed(trace.marbles().svg)
        assert "unfinished" in trace.timeline().svg
        await running
