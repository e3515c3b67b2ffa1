"""A run tells nothing where nobody wants to know."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex import operators as ops

from nadoo_flow import BatchProcessor, FilterNode, MapNode, OperatorNode, Trace
from nadoo_flow.events.event import RunInfo, StageInfo

from ..stand_ins import double


async def test_a_run_that_nobody_watches_makes_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(
        "nadoo_flow.events.run_reporter.StageReporter", lambda *args: made.append(args)
    )
    processor, stage = BatchProcessor(double), MapNode("map", double)
    heard_and_left = processor.events.subscribe(lambda _: None)
    heard_and_left.dispose()
    await processor.batch([1])
    await stage.run({"items": [1]})
    assert made == []


class Begun(Trace):
    """Keeps what is known of runs at their begin."""

    def __init__(self) -> None:
        super().__init__()
        self.infos: list[RunInfo] = []

    def on_begin(self, run: RunInfo) -> None:
        self.infos.append(run)


async def test_who_watches_learns_of_the_stages_and_the_number_of_inputs_first() -> None:
    begun = Begun()
    chain = (
        MapNode("map", double, "a", "b", 3)
        | OperatorNode(ops.distinct(), input_key="b", output_key="c", node_id="ops")
        | FilterNode("filter", bool, "c", "d")
    )
    await chain.run({"a": [1, 2]}, trace=begun)
    ((_, stages, total),) = begun.infos
    assert stages == (StageInfo("map", 3), StageInfo("ops", 1, True), StageInfo("filter", 10))
    assert total == 2


async def test_the_number_of_inputs_is_unknown_where_they_do_not_tell() -> None:
    begun = Begun()
    await BatchProcessor(double, trace=begun).batch(iter([1, 2]))
    assert [run.total for run in begun.infos] == [None]
