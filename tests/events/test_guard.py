"""A watcher that raises gets no more events, and the run goes on."""

from __future__ import annotations

from typing import Any

import pytest

from nadoo_flow import MapNode, Trace

from ..stand_ins import double, log_of_the_loop


@pytest.mark.parametrize("method", ["on_begin", "on_event", "on_end"])
async def test_a_trace_that_raises_is_told_no_more_and_breaks_no_run(method: str) -> None:
    def broken(said: Any) -> None:
        raise ValueError("no")

    logged = log_of_the_loop()
    trace = type("Broken", (Trace,), {method: lambda self, said: broken(said)})()
    output = await MapNode("map", double).run({"items": [1, 2]}, trace=trace)
    assert output == {"results": [2, 4]}
    assert [entry["message"] for entry in logged()] == [
        "a watcher of a run raised, so it gets no more events"
    ]
