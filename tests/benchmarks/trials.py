"""Small cases on which the tests try the suite itself."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from .model import Case, Contestant, Outcome, Params, Peer, Run, as_measured


def _prepare(answer: int, params: Params) -> Run:
    async def once() -> Outcome:
        return Outcome(answer, params["n"] * 2.0)

    return once


def _prepare_marking(mark: str, params: Params) -> Run:
    """Leave a mark of the process in the file that the variant names."""
    with Path(params["marks"]).open("a") as marks:
        marks.write(mark)
    return _prepare(1, params)


def _prepare_crash(params: Params) -> Run:
    raise LookupError("no such thing")


def _prepare_endless(params: Params) -> Run:
    async def once() -> Outcome:
        await asyncio.sleep(3600)
        return Outcome(1)

    return once


def _case(name: str, *contestants: Contestant) -> Case:
    return Case(
        module=__name__,
        name=name,
        title="A trial",
        unit="things",
        variants=({"n": 10}, {"n": 1000}),
        contestants=contestants,
        expected=lambda params: 1,
        figure=as_measured,
        steady=False,
    )


def _prepare_loop(params: Params) -> Run:
    async def once() -> Outcome:
        return Outcome(type(asyncio.get_running_loop()).__module__.partition(".")[0], 1.0)

    return once


RIGHT = Contestant("right", partial(_prepare, 1))
WRONG = Contestant("wrong", partial(_prepare, 2))
CRASHING = Contestant("crashing", _prepare_crash)
ENDLESS = Contestant("endless", _prepare_endless)
ABSENT = Contestant("absent", partial(_prepare, 1), Peer("absent-package", "absent_package"))

FAIR = _case("fair", RIGHT, Contestant("also right", partial(_prepare, 1)))
UNFAIR = _case("unfair", RIGHT, WRONG, CRASHING, ABSENT)
LOOP = _case("loop", Contestant("looking", _prepare_loop))
STUCK = _case("stuck", ENDLESS)
TURNS = _case("turns", *(Contestant(f"{mark}s", partial(_prepare_marking, mark)) for mark in "ab"))
CASES = (FAIR, UNFAIR, LOOP, STUCK, TURNS)
