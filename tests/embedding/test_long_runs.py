"""What runs for hours must not grow: later events take no more memory than the first ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .long_run import PIPELINES
from .processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

EVENTS = int(os.environ.get("NADOO_FLOW_EVENTS", "100000"))
LANES = 10


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_an_endless_run_grows_in_nothing(pipeline: str) -> None:
    command = [sys.executable, "-m", "tests.embedding.long_run", pipeline, str(EVENTS)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    used = json.loads(ended.stdout)
    print(pipeline, used)
    assert used["events"] == EVENTS
    # One task each for the caller, the source and the lanes of two stages.
    assert max(used["tasks"]) <= 2 + 2 * LANES
    if pipeline != "from_a_thread":  # where lanes end whenever the thread is too slow for them
        assert max(used["tasks"]) - min(used["tasks"]) <= 2
    assert len(used["files"]) == 1
    assert used["grown_mb"] < 10
    # Of everything that is kept there would be one block for an event, at least.
    assert used["grown_blocks"] < (EVENTS - 50_000) / 10
