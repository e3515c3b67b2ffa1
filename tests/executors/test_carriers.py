"""The span of an item is the current one in the workers of executors."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import context, propagate, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import format_span_id, format_trace_id

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.events import make_carriers
from nadoo_flow.executors import on
from nadoo_flow.executors.packed_input import unpack_input
from nadoo_flow.telemetry.carrier import SpanCarrier

from ..telemetry.recorder import Recorder
from .helpers import ByHand, real, two_processes, until
from .work import list_telemetry, name_span

TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.slow
@real
async def test_a_worker_has_the_span_of_each_item(executor: Any) -> None:
    recorder = Recorder()
    processor = BatchProcessor(FunctionNode(name_span).pipe(on(executor, chunk=3)))
    with recorder.instrument(processor):
        results = await processor.batch(range(6))
    spans = [span.context for span in recorder.find("name_span") if span.context]
    assert results.outputs == [
        (format_trace_id(each.trace_id), format_span_id(each.span_id), True) for each in spans
    ]
    # The next call of the same worker has no span left from the one before.
    (plain,) = await BatchProcessor(FunctionNode(name_span).pipe(on(executor))).batch([1])
    assert plain.output == ("0" * 32, "0" * 16, False)


@pytest.mark.slow
@real
async def test_a_worker_knows_that_an_item_is_not_sampled(processes: Any) -> None:
    processor = BatchProcessor(FunctionNode(name_span).pipe(on(processes)))
    with Recorder(ALWAYS_OFF).instrument(processor):
        (result,) = await processor.batch([1])
    assert result.output is not None
    trace_id, _, is_sampled = result.output
    assert (trace_id != "0" * 32, is_sampled) == (True, False)


@pytest.mark.slow
@real
async def test_without_telemetry_a_worker_imports_none() -> None:
    processor = BatchProcessor(FunctionNode(list_telemetry).pipe(on(two_processes)))
    (result,) = await processor.batch([1])
    assert result.output == []


@real
async def test_a_call_takes_nothing_more_along_without_telemetry() -> None:
    def measure(executor: ByHand) -> int:
        _, _, (_, packed) = executor.bundles[0]
        _, ((_, payload),) = pickle.loads(packed)
        return len(unpack_input(payload)[2])

    sizes = []
    for instrumented in (False, True):
        executor, recorder = ByHand(), Recorder()
        processor = BatchProcessor(FunctionNode(abs).pipe(on(executor)))
        if instrumented:
            recorder.instrument(processor)
        async with processor.batch_as_completed([1]) as results:
            pending = asyncio.ensure_future(anext(results))
            await until(lambda executor=executor: executor.bundles)
            sizes.append(measure(executor))
            pending.cancel()
    assert sizes == [0, 1]


class TestSpanCarrier:
    def test_it_makes_its_span_the_current_one(self) -> None:
        carrier = pickle.loads(pickle.dumps(SpanCarrier({"traceparent": TRACE_PARENT})))
        token = context.attach(context.Context())
        try:
            carrier.attach()
            current = trace.get_current_span().get_span_context()
            assert format_span_id(current.span_id) == TRACE_PARENT.split("-")[2]
            assert current.is_remote
        finally:
            context.detach(token)

    def test_a_worker_without_opentelemetry_goes_on(self) -> None:
        packed = pickle.dumps(SpanCarrier({"traceparent": TRACE_PARENT}))
        code = (
            "import pickle, sys; sys.modules['opentelemetry'] = None; "
            f"pickle.loads({packed!r}).attach(); print('done')"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("done\n", "")

    async def test_outside_of_reported_runs_nothing_is_carried(self) -> None:
        recorder = Recorder()
        with recorder.instrument(), recorder.tracer.start_as_current_span("request"):
            assert make_carriers() == ()

    @pytest.mark.parametrize("where", ["inject", "extract"])
    async def test_a_propagator_that_raises_fails_no_item(
        self, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: Any, **options: Any) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(propagate, where, fail)
        seen: list[Any] = []

        def carry(_: Any) -> None:
            for carrier in make_carriers():
                carrier.attach()
                seen.append(carrier)

        with Recorder().instrument():
            (result,) = await BatchProcessor(carry).batch([1])
        assert result.success
        assert len(seen) == (1 if where == "extract" else 0)
        assert "the span of an item could not be taken" in caplog.text
