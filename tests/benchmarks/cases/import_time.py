"""How long ``import`` takes in a Python that has imported nothing yet."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from ..model import Case, Contestant, Outcome, Params, Peer, Run, milliseconds
from ..peers import AIOMETER, AIOSTREAM, LANGCHAIN, REACTIVEX

_TIMED = """
from time import perf_counter
started = perf_counter()
import {module}
print(perf_counter() - started, "{module}" in __import__("sys").modules)
"""


def _prepare(module: str, params: Params) -> Run:
    async def once() -> Outcome:
        command = [sys.executable, "-c", _TIMED.format(module=module)]
        printed = [
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: ASYNC221
            for _ in range(params["repeats"])
        ]
        seconds = min(float(seconds) for seconds, _ in printed)
        return Outcome(all(imported == "True" for _, imported in printed), seconds)

    return once


def _contestant(module: str, peer: Peer | None = None) -> Contestant:
    return Contestant(f"import {module}", partial(_prepare, module), peer)


CASES = (
    Case(
        module=__name__,
        name="import-time",
        title="Time of an import in a fresh Python, the best of some",
        unit="ms",
        variants=({"repeats": 5},),
        contestants=(
            _contestant("nadoo_flow"),
            _contestant("reactivex", REACTIVEX),
            _contestant("asyncio"),
            _contestant("aiometer", AIOMETER),
            _contestant("aiostream", AIOSTREAM),
            _contestant("langchain_core.runnables.base", LANGCHAIN),
        ),
        expected=lambda params: True,
        figure=milliseconds,
        steady=False,
    ),
)
