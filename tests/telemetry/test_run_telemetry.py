"""The spans of runs and items: what they say, what is current inside, and that each ends."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanContext, StatusCode
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeError,
    NodeResult,
    OperatorNode,
    Trace,
)
from nadoo_flow.policies import fallback, hedge, in_thread, retry
from nadoo_flow.telemetry import instrument

from ..hostile_texts import HOSTILE
from ..stand_ins import DIVISION, ScriptedNode, double, log_of_the_loop, slowly
from .recorder import Recorder, attributes_of, outcomes_of

node = FunctionNode(slowly, "node")


def divide(number: int) -> float:
    return 1 / number


async def fail_after(seconds: float) -> None:
    await asyncio.sleep(seconds)
    raise ValueError("no")


class TestAttributes:
    async def test_a_run_says_what_it_is(self) -> None:
        recorder = Recorder()
        chain = MapNode("a", node, output_key="items") | FilterNode("b", bool)
        with recorder.instrument():
            await chain.run({"items": [1, 2, 3]})
        run = attributes_of(recorder.find_one("run a | b"))
        assert isinstance(run.pop("nadoo_flow.run"), int)
        assert run == {
            "nadoo_flow.run.stages": ("a", "b"),
            "nadoo_flow.run.total": 3,
            "nadoo_flow.outcome": "completed",
        }

    async def test_an_endless_run_has_no_total(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(node).batch(number for number in [1])
        assert "nadoo_flow.run.total" not in attributes_of(recorder.find_one("run node"))

    async def test_an_item_says_which_it_is_and_what_it_used(self) -> None:
        async def ask(number: int) -> NodeResult:
            return NodeResult(True, number, None, {"usage": {"tokens": 12, "usd": 0.5}})

        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(ScriptedNode(ask, "ask")).batch([7])
            await MapNode("map", ScriptedNode(ask, "ask")).run({"items": [7]})
        for name in ("ask", "map"):
            assert attributes_of(recorder.find_one(name)) == {
                "nadoo_flow.stage": name,
                "nadoo_flow.item.index": 0,
                "nadoo_flow.outcome": "finished",
                "nadoo_flow.usage.tokens": 12,
                "nadoo_flow.usage.usd": 0.5,
            }

    async def test_an_item_that_a_filter_drops(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await FilterNode("keep", bool).run({"items": [1, 0]})
        assert outcomes_of(recorder.find("keep")) == ["finished", "dropped"]

    async def test_outputs_of_operators_are_no_spans(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await OperatorNode(ops.take(2), node_id="first").run({"items": [1, 2, 3]})
        assert recorder.list_paths() == ["run first"]


class TestErrors:
    @pytest.mark.parametrize("continue_on_error", [False, True])
    async def test_a_failed_item_has_its_exception(self, continue_on_error: bool) -> None:
        recorder = Recorder()
        stage = MapNode("stage", divide, continue_on_error=continue_on_error)
        with recorder.instrument():
            if continue_on_error:
                await stage.run({"items": [0]})
            else:
                with pytest.raises(NodeError):
                    await stage.run({"items": [0]})
            await BatchProcessor(FunctionNode(divide, "batch")).batch([0])
        for name in ("stage", "batch"):
            span = recorder.find_one(name)
            assert span.status.status_code is StatusCode.ERROR
            assert span.status.description == DIVISION
            attributes = attributes_of(span)
            assert attributes["error.type"] == "ZeroDivisionError"
            assert attributes["error.message"] == DIVISION
            assert attributes["nadoo_flow.outcome"] == "failed"
            (event,) = span.events
            assert event.name == "exception"
            described = dict(event.attributes or {})
            assert described["exception.type"] == "ZeroDivisionError"
            assert described["exception.message"] == DIVISION
            assert "in divide" in str(described["exception.stacktrace"])

    async def test_a_failure_without_an_exception(self) -> None:
        async def refuse(_: Any) -> NodeResult:
            return NodeResult(False, error="no")

        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(ScriptedNode(refuse, "node")).batch([1])
        span = recorder.find_one("node")
        assert (span.status.description, list(span.events)) == ("no", [])
        assert attributes_of(span)["error.type"] == "_OTHER"

    async def test_a_type_is_named_with_its_module(self) -> None:
        class OddError(Exception):
            pass

        def fail(_: Any) -> None:
            raise OddError

        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(FunctionNode(fail, "node")).batch([1])
        assert attributes_of(recorder.find_one("node"))["error.type"] == (
            f"{__name__}.{OddError.__qualname__}"
        )

    async def test_an_item_for_which_the_run_goes_on_does_not_fail_it(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(divide).batch([0, 1])
        run = recorder.find_one("run divide")
        assert run.status.status_code is StatusCode.UNSET
        assert outcomes_of([run]) == ["completed"]

    async def test_the_first_failure_fails_the_run_and_cancels_the_others(self) -> None:
        recorder = Recorder()
        processor = BatchProcessor(FunctionNode(fail_after, "node"), continue_on_error=False)
        with recorder.instrument(), pytest.raises(NodeError):
            await processor.batch([1, 5])
        assert outcomes_of(recorder.find("node")) == ["failed", "cancelled"]
        run = recorder.find_one("run node")
        assert run.status.status_code is StatusCode.ERROR
        assert run.status.description == ("NodeError: node 'node' failed on item 0: ValueError: no")

    async def test_an_error_of_the_inputs_fails_the_run(self) -> None:
        def inputs() -> Any:
            yield 1
            raise OSError("gone")

        recorder = Recorder()
        with recorder.instrument(), pytest.raises(OSError, match="gone"):
            await BatchProcessor(node).batch(inputs())
        assert outcomes_of(recorder.find("node")) == ["finished"]
        assert attributes_of(recorder.find_one("run node"))["error.type"] == "OSError"

    async def test_an_exception_without_words_of_its_own_is_recorded(self) -> None:
        class MuteError(Exception):
            def __str__(self) -> str:
                raise RuntimeError("mute")

        def fail(_: Any) -> None:
            raise MuteError

        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(FunctionNode(fail, "node")).batch([1])
        span = recorder.find_one("node")
        assert [event.name for event in span.events] == ["exception"]
        assert span.status.status_code is StatusCode.ERROR

    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    async def test_any_text_can_be_exported_and_is_not_too_long(self, text: str) -> None:
        def fail(_: Any) -> None:
            raise ValueError(text)

        recorder, name = Recorder(), text or "empty"
        processor = BatchProcessor(
            FunctionNode(fail, name).pipe(retry(2, wait=0), fallback(FunctionNode(fail, name)))
        )
        with recorder.instrument():
            await processor.batch([1])
        item, run = recorder.spans
        texts = [item.name, run.name, str(item.status.description)]
        for attributes in (item.attributes, run.attributes, *(e.attributes for e in item.events)):
            texts += map(str, (attributes or {}).values())
        for written in texts:
            assert len(written.encode()) < 20_000
        assert recorder.open == 0


class TestEvents:
    async def test_each_further_try_is_an_event(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(FunctionNode(divide).pipe(retry(3, wait=1))).batch([0])
        span = recorder.find_one("divide")
        tries = [event for event in span.events if event.name == "nadoo_flow.retry"]
        assert [dict(each.attributes or {}) for each in tries] == [{"error.message": DIVISION}] * 2

    async def test_each_other_node_that_is_asked_is_an_event(self) -> None:
        recorder = Recorder()
        others = FunctionNode(divide, "second"), FunctionNode(double, "third")
        with recorder.instrument():
            await BatchProcessor(FunctionNode(divide).pipe(fallback(*others))).batch([0, 1])
        failed, direct = recorder.find("divide")
        assert [(event.name, dict(event.attributes or {})) for event in failed.events] == [
            ("nadoo_flow.fallback", {"nadoo_flow.fallback": name, "error.message": DIVISION})
            for name in ("second", "third")
        ]
        assert failed.status.status_code is StatusCode.UNSET
        assert list(direct.events) == []

    async def test_they_belong_to_the_item_whatever_is_current(self) -> None:
        recorder = Recorder()

        async def ask(number: int) -> Any:
            with recorder.tracer.start_as_current_span("question"):
                return await FunctionNode(divide).pipe(retry(2, wait=0)).run(number)

        with recorder.instrument():
            await BatchProcessor(ask).batch([0])
        assert [event.name for event in recorder.find_one("question").events] == ["exception"]
        assert [event.name for event in recorder.find_one("ask").events] == [
            "nadoo_flow.retry",
            "exception",
        ]


class TestCurrent:
    """Spans that are made inside a node, as by an instrumented client, are below its item."""

    @staticmethod
    def assert_inside(recorder: Recorder, times: int = 1) -> None:
        inside = [path for path in recorder.list_paths() if path.endswith("> http")]
        assert inside == ["run node > node > http"] * times

    @staticmethod
    def make_client(recorder: Recorder) -> Any:
        def call(value: Any) -> Any:
            with recorder.tracer.start_as_current_span("http"):
                return value

        return call

    async def test_in_an_async_function(self) -> None:
        recorder = Recorder()
        client = self.make_client(recorder)

        async def call(number: int) -> Any:
            await asyncio.sleep(1)
            return client(number)

        with recorder.instrument():
            await BatchProcessor(FunctionNode(call, "node")).batch([1, 2, 3])
        self.assert_inside(recorder, 3)
        parents = [span.parent.span_id for span in recorder.find("http") if span.parent]
        items = [span.context.span_id for span in recorder.find("node") if span.context]
        assert parents == items

    async def test_in_a_function(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(FunctionNode(self.make_client(recorder), "node")).batch([1])
        self.assert_inside(recorder)

    async def test_in_a_thread(self) -> None:
        recorder = Recorder()
        client = FunctionNode(self.make_client(recorder), "node")
        with recorder.instrument():
            await BatchProcessor(client.pipe(in_thread(2))).batch([1, 2])
        self.assert_inside(recorder, 2)

    async def test_in_a_task_of_the_item(self) -> None:
        recorder = Recorder()
        client = FunctionNode(self.make_client(recorder), "node")
        client.isolate = "task"
        with recorder.instrument():
            await BatchProcessor(client).batch([1])
        self.assert_inside(recorder)

    async def test_in_a_generator(self) -> None:
        recorder = Recorder()
        client = self.make_client(recorder)

        async def pages(number: int) -> Any:
            yield client(number)
            await asyncio.sleep(1)
            yield client(number)

        with recorder.instrument():
            await FlatMapNode("node", pages).run({"items": [1]})
        self.assert_inside(recorder, 2)

    async def test_in_items_with_keys(self) -> None:
        recorder = Recorder()
        client = FunctionNode(self.make_client(recorder), "node")
        with recorder.instrument():
            await BatchProcessor(client, key=lambda _: "same").batch([1, 2])
        self.assert_inside(recorder, 2)

    async def test_in_a_second_execution(self) -> None:
        recorder = Recorder()
        client, executions = self.make_client(recorder), 0

        async def call(number: int) -> Any:
            nonlocal executions
            executions += 1
            await asyncio.sleep(10 if executions == 1 else 0)
            return client(number)

        with recorder.instrument():
            await BatchProcessor(FunctionNode(call, "node").pipe(hedge(1))).batch([1])
        self.assert_inside(recorder)

    async def test_baggage_of_the_caller_is_there(self) -> None:
        seen: list[object] = []
        recorder = Recorder()
        token = context.attach(baggage.set_baggage("tenant", "ann"))
        try:
            for trace_per_item in (False, True):
                with recorder.instrument(trace_per_item=trace_per_item):
                    await BatchProcessor(
                        lambda _: seen.append(baggage.get_baggage("tenant"))
                    ).batch([1])
        finally:
            context.detach(token)
        assert seen == ["ann", "ann"]


class TestEnds:
    """However a run is left, each of its spans is ended."""

    async def test_a_run_that_is_closed_in_the_middle(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            async with BatchProcessor(node, 2).batch_as_completed([1, 5, 5]) as results:
                await anext(results)
        assert outcomes_of(recorder.find("node")) == ["finished", "cancelled", "cancelled"]
        assert outcomes_of(recorder.find("run node")) == ["cancelled"]
        assert recorder.open == 0

    async def test_a_run_that_is_timed_out(self) -> None:
        recorder = Recorder()
        with recorder.instrument(), pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await BatchProcessor(node).batch([5])
        assert outcomes_of(recorder.spans) == ["cancelled", "cancelled"]
        assert {span.status.status_code for span in recorder.spans} == {StatusCode.UNSET}

    async def test_a_run_that_ends_at_its_deadline(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(node, 2, deadline=2, grace=1).batch([1, 9, 9])
        assert outcomes_of(recorder.find("node")) == ["finished", "cancelled", "cancelled"]
        assert outcomes_of(recorder.find("run node")) == ["completed"]
        assert recorder.open == 0

    async def test_a_subscription_that_is_disposed(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(node, 2).observe([1, 5]).pipe(ops.take(1))
            await asyncio.sleep(1)
        assert recorder.open == 0
        assert outcomes_of(recorder.find("run node")) == ["cancelled"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), SystemExit(3)], ids=repr)
    async def test_a_node_that_ends_the_program(self, error: BaseException) -> None:
        async def stop(seconds: float) -> None:
            await asyncio.sleep(seconds)
            raise error

        recorder = Recorder()
        with recorder.instrument(), pytest.raises(type(error)):
            await BatchProcessor(FunctionNode(stop, "node")).batch([1, 5])
        assert outcomes_of(recorder.find("node")) == ["cancelled", "cancelled"]
        run = recorder.find_one("run node")
        assert attributes_of(run)["error.type"] == type(error).__name__
        assert recorder.open == 0

    async def test_a_node_that_ends_the_program_when_it_is_cancelled(self) -> None:
        async def stop(seconds: float) -> None:
            try:
                await asyncio.sleep(seconds)
            finally:
                raise KeyboardInterrupt

        recorder = Recorder()
        with recorder.instrument(), pytest.raises(KeyboardInterrupt):
            async with asyncio.timeout(1):
                await BatchProcessor(FunctionNode(stop, "node")).batch([5])
        run = recorder.find_one("run node")
        assert attributes_of(run)["error.type"] == "KeyboardInterrupt"

    @pytest.mark.parametrize("error", [GeneratorExit, asyncio.CancelledError])
    async def test_a_node_that_raises_what_ends_coroutines(
        self, error: type[BaseException]
    ) -> None:
        async def fail(_: Any) -> None:
            await asyncio.sleep(1)
            raise error

        recorder = Recorder()
        with recorder.instrument():
            await BatchProcessor(FunctionNode(fail, "node")).batch([1])
        assert outcomes_of(recorder.spans) == ["failed", "completed"]
        assert attributes_of(recorder.find_one("node"))["error.type"].endswith(error.__name__)

    def test_an_event_loop_that_is_closed_before_the_run_has_ended(self) -> None:
        recorder = Recorder()
        loop = asyncio.new_event_loop()
        logged: list[Any] = []
        loop.set_exception_handler(lambda _, problem: logged.append(problem))

        async def leave() -> None:
            results = BatchProcessor(node).batch_as_completed([0, 60])
            await anext(results)
            left.append(results)

        left: list[Any] = []
        with recorder.instrument():
            loop.run_until_complete(leave())
            loop.close()
        left.clear()
        gc.collect()
        assert outcomes_of(recorder.find("node")) == ["finished", "cancelled"]
        assert outcomes_of(recorder.find("run node")) == ["cancelled"]
        assert recorder.open == 0


class _Raising(SpanProcessor):
    def __init__(self, *where: str) -> None:
        self.where = where
        self.asked = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._raise_if("start")

    def on_end(self, span: Any) -> None:
        self._raise_if("end")

    def _raise_if(self, where: str) -> None:
        self.asked += 1
        if where in self.where:
            raise RuntimeError("broken")


class TestBroken:
    @pytest.mark.parametrize("where", ["start", "end"])
    async def test_a_span_processor_that_raises_is_reported_once(self, where: str) -> None:
        logged, processor, provider = log_of_the_loop(), _Raising(where), TracerProvider()
        provider.add_span_processor(processor)
        with instrument(tracer_provider=provider):
            results = await BatchProcessor(node).batch([1, 2, 3])
        assert results.outputs == [1, 2, 3]
        (problem,) = logged()
        assert repr(problem["exception"]) == "RuntimeError('broken')"

    async def test_one_that_raises_is_asked_again(self) -> None:
        recorder, processor = Recorder(), _Raising("start")
        recorder.tracer_provider.add_span_processor(processor)
        log_of_the_loop()
        processor.where = ()

        def call(number: int) -> None:
            processor.where = ("start",) if number == 0 else ()

        with recorder.instrument():
            await BatchProcessor(FunctionNode(call, "node"), 1).batch(range(4))
        indexes = [attributes_of(span)["nadoo_flow.item.index"] for span in recorder.find("node")]
        assert indexes == [0, 2, 3]
        assert outcomes_of(recorder.find("run node")) == ["completed"]

    async def test_a_run_whose_span_cannot_be_started_has_metrics(self) -> None:
        recorder = Recorder()
        recorder.tracer_provider.add_span_processor(_Raising("start"))
        log_of_the_loop()
        with recorder.instrument():
            await BatchProcessor(node).batch([1])
        assert recorder.count("nadoo_flow.items") == {("node", "finished"): 1}

    async def test_usage_whose_name_has_no_text(self) -> None:
        class Mute:
            def __str__(self) -> str:
                raise RuntimeError("mute")

        async def ask(_: Any) -> NodeResult:
            return NodeResult(True, 1, metadata={"usage": {Mute(): 5}})

        recorder, logged = Recorder(), log_of_the_loop()
        with recorder.instrument():
            results = await BatchProcessor(ScriptedNode(ask, "node")).batch([1, 2])
        assert results.outputs == [1, 1]
        assert outcomes_of(recorder.find("node")) == ["finished", "finished"]
        assert len(logged()) == 1

    async def test_a_run_that_cannot_be_built(self) -> None:
        class Unbuilt(MapNode[Any, Any]):
            def operator(self, stage_run: Any) -> Any:
                raise OSError("no")

        recorder = Recorder()
        with recorder.instrument():
            with pytest.raises(NodeError, match="no"):
                await Unbuilt("stage", double).run({"items": [1]})
            gc.collect()
        assert recorder.open == 0

    async def test_a_sampler_that_raises(self) -> None:
        class Broken(Sampler):
            def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
                raise RuntimeError("broken")

            def get_description(self) -> str:
                return "broken"

        logged = log_of_the_loop()
        with instrument(tracer_provider=TracerProvider(sampler=Broken())):
            results = await BatchProcessor(node).batch([1])
        assert results.outputs == [1]
        assert len(logged()) == 1

    async def test_one_that_ends_the_program_ends_the_run(self) -> None:
        class Interrupted(SpanProcessor):
            def on_start(self, span: Any, parent_context: Any = None) -> None:
                if span.name == "node":
                    raise KeyboardInterrupt

        recorder = Recorder()
        recorder.tracer_provider.add_span_processor(Interrupted())
        with recorder.instrument(), pytest.raises(KeyboardInterrupt):
            await BatchProcessor(node).batch([1])
        assert attributes_of(recorder.find_one("run node"))["error.type"] == "KeyboardInterrupt"

    async def test_code_that_ends_the_span_of_its_item(self) -> None:
        recorder = Recorder()
        with recorder.instrument():
            results = await BatchProcessor(lambda _: trace.get_current_span().end()).batch([1])
        assert results[0].success
        assert recorder.open == 0


class _Names(Sampler):
    """Samples the spans of some names, and notes for which it was asked."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[str] = []

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *args: Any, **options: Any
    ) -> SamplingResult:
        self.asked.append(name)
        sampled = name in self.names
        return SamplingResult(Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP)

    def get_description(self) -> str:
        return "names"


class TestSampling:
    async def test_a_run_that_is_not_sampled_has_no_spans_and_asks_for_none(self) -> None:
        sampler = _Names()
        recorder = Recorder(sampler)
        inside: list[SpanContext] = []

        def call(_: Any) -> None:
            inside.append(trace.get_current_span().get_span_context())

        with recorder.instrument():
            await BatchProcessor(call).batch([1])
        assert (recorder.spans, sampler.asked) == ([], ["run call"])
        assert [(each.is_valid, each.trace_flags.sampled) for each in inside] == [(True, False)]

    async def test_what_is_inside_an_item_that_is_not_sampled_is_not_either(self) -> None:
        recorder = Recorder(ParentBased(ALWAYS_ON, local_parent_sampled=_Names("http")))

        def call(_: Any) -> None:
            with recorder.tracer.start_as_current_span("http"):
                pass

        with recorder.instrument():
            await BatchProcessor(FunctionNode(call, "node")).batch([1])
        assert recorder.list_paths() == ["run node"]

    async def test_without_sampling_there_are_metrics(self) -> None:
        recorder = Recorder(ALWAYS_OFF)
        with recorder.instrument():
            await BatchProcessor(node).batch([1, 2])
        assert recorder.count("nadoo_flow.items") == {("node", "finished"): 2}

    async def test_a_trace_for_each_item_is_linked_to_the_run(self) -> None:
        recorder = Recorder()

        def call(_: Any) -> None:
            with recorder.tracer.start_as_current_span("http"):
                pass

        with (
            recorder.tracer.start_as_current_span("request"),
            recorder.instrument(trace_per_item=True),
        ):
            await BatchProcessor(FunctionNode(call, "node")).batch([1, 2])
        assert recorder.list_paths() == [
            *["node", "node", "node > http", "node > http"],
            *["request", "request > run node"],
        ]
        run = recorder.find_one("run node").context
        for span in recorder.find("node"):
            assert [link.context for link in span.links] == [run]

    async def test_items_of_a_run_inside_an_item_are_in_its_trace(self) -> None:
        recorder = Recorder()
        with recorder.instrument(trace_per_item=True):
            await BatchProcessor(MapNode("inner", FunctionNode(double))).batch([{"items": [1]}])
        assert recorder.list_paths() == [
            *["inner", "inner > run inner", "inner > run inner > inner", "run inner"],
        ]

    async def test_a_sampler_keeps_a_part_of_the_items(self) -> None:
        recorder = Recorder(ParentBased(TraceIdRatioBased(0.25)))
        with recorder.instrument(trace_per_item=True):
            await BatchProcessor(FunctionNode(double, "node")).batch(range(2_000))
        assert 350 < len(recorder.find("node")) < 650
        assert recorder.count("nadoo_flow.items") == {("node", "finished"): 2_000}


async def test_a_run_may_be_watched_as_well() -> None:
    recorder, record = Recorder(), Trace()
    processor = BatchProcessor(FunctionNode(divide).pipe(retry(2, wait=0)), trace=record)
    with recorder.instrument(processor):
        await processor.batch([1, 0])
    assert sorted(event.kind for event in record.events) == [
        *["failed", "finished", "retried", "started", "started"],
    ]
    assert outcomes_of(recorder.find("divide")) == ["finished", "failed"]
    run = attributes_of(recorder.find_one("run divide"))["nadoo_flow.run"]
    assert {event.run for event in record.events} == {run}
