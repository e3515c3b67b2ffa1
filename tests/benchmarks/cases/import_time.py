"""How long ``import`` takes in a Python that has imported nothing yet."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache, partial

from ..model import Case, Contestant, Outcome, Params, Peer, Run, milliseconds
from ..peers import AIOMETER, AIOSTREAM, LANGCHAIN, REACTIVEX

_TIMED = """
from time import perf_counter
started = perf_counter()
import {module}
print(perf_counter() - started, "{module}" in __import__("sys").modules)
"""


@cache
def _bytecode() -> str:
    """Make a folder in which everything is as bytecode once it was imported, as pip leaves it."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _prepare(module: str, params: Params) -> Run:
    kept = _bytecode()
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": kept, "PYTHONDONTWRITEBYTECODE": ""}

    def timed() -> tuple[float, bool]:
        command = [sys.executable, "-c", _TIMED.format(module=module)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        seconds, imported = done.stdout.split()
        return float(seconds), imported == "True"

    timed()

    async def once() -> Outcome:
        printed = [timed() for _ in range(params["repeats"])]
        return Outcome(all(imported for _, imported in printed), min(printed)[0])

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
            _contestant("nadoo_flow.stages"),
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
