"""What recording every result costs, and what it costs to have them all back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ..model import Case, Contestant, Outcome, Params, Run, us_per_item
from ..nodes import expected_total, inputs, make_work
from ..watchers import new_file


async def _total(runner: Any, given: list[dict[str, Any]]) -> Outcome:
    results = await runner.batch(given)
    return Outcome((len(results), sum(result.output for result in results)))


def _prepare(kind: str, params: Params) -> Run:
    from nadoo_flow import BatchProcessor

    work, given = make_work("function"), inputs(params["n"])
    done = new_file()

    async def once() -> Outcome:
        checkpoint: Path | None = None
        if kind == "recording":
            checkpoint = new_file()
        elif kind == "resuming":
            checkpoint = done
        return await _total(BatchProcessor(work, checkpoint=checkpoint), given)

    return once


def _contestant(name: str, kind: str) -> Contestant:
    return Contestant(name, partial(_prepare, kind))


CASES = (
    Case(
        module=__name__,
        name="checkpoint",
        title="Cost of an item whose result is recorded, function suspends once",
        unit="us/item",
        variants=({"n": 10_000},),
        contestants=(
            _contestant("nadoo-flow batch", "plain"),
            _contestant("nadoo-flow batch with a new checkpoint", "recording"),
            _contestant("nadoo-flow batch, each run after the first resumed", "resuming"),
        ),
        expected=expected_total,
        figure=us_per_item,
    ),
)
