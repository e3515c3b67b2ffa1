"""By how much the open pages of a dashboard slow a run down."""

from __future__ import annotations

import statistics
from functools import partial

from .._worker import agreed
from ..model import Case, Contestant, Outcome, Params, Run, as_measured
from ..nodes import expected_total, inputs, make_work
from ..pages import Pages
from ..timed_batch import time_batch

OURS = "nadoo-flow, a dashboard with open pages"
TURNS = 5
"""How often a run with and one without open pages follow each other, and both again."""


def _prepare(params: Params) -> Run:
    from nadoo_flow import BatchProcessor
    from nadoo_flow.dashboard import Dashboard

    work, given = make_work(params["node"]), inputs(params["n"])
    answers: list[list[int]] = []

    async def once() -> Outcome:
        processor = BatchProcessor(work, params["concurrency"])
        timed = partial(time_batch, processor, given, answers)
        dashboard = Dashboard(processor)
        ratios = []
        async with (
            await dashboard.serve() as server,
            Pages(dashboard, server.url, params["pages"]) as pages,
        ):
            for _ in range(TURNS):
                less = [await timed()]
                await pages.open()
                more = await timed() + await timed()
                await pages.close()
                less.append(await timed())
                ratios.append(more / sum(less))
        return Outcome(agreed(answers), (statistics.median(ratios) - 1) * 100)

    return once


CASES = (
    Case(
        module=__name__,
        name="open-pages",
        title="Processor time that open pages of a dashboard add to a run, measured in turns",
        unit="%",
        variants=({"n": 100_000, "concurrency": 10, "node": "yield", "pages": 20},),
        contestants=(Contestant(OURS, _prepare),),
        expected=expected_total,
        figure=as_measured,
        steady=False,
        over="nothing",
    ),
)
