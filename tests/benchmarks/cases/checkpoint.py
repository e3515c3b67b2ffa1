"""What recording every result costs, and what it costs to have them all back."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from ..model import Case, Contestant, Outcome, Params, Run, us_per_item
from ..nodes import expected_total, inputs, make_node


async def _total(runner: Any, given: list[dict[str, Any]]) -> Outcome:
    results = await runner.batch(given)
    return Outcome((len(results), sum(result.output for result in results)))


def _prepare(kind: str, params: Params) -> Run:
    from nadoo_flow import BatchProcessor

    node, given = make_node("yield"), inputs(params["n"])
    kept = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    numbers = count()

    async def once() -> Outcome:
        checkpoint: Path | None = None
        if kind == "recording":
            checkpoint = kept / str(next(numbers))
        elif kind == "resuming":
            checkpoint = kept / "done"
        return await _total(BatchProcessor(node, checkpoint=checkpoint), given)

    return once


def _contestant(name: str, kind: str) -> Contestant:
    return Contestant(name, partial(_prepare, kind))


CASES = (
    Case(
        module=__name__,
        name="checkpoint",
        title="Cost of an item whose result is recorded, node suspends once",
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
