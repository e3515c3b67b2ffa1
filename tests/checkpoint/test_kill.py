"""Runs that are killed at random moments and started again lose nothing and repeat nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RUNS = int(os.environ.get("NADOO_FLOW_KILLED_RUNS", "200"))


AT_ONCE = 4
DRIVERS = {
    "checkpoint": "tests.checkpoint.kill_driver",
    "chain": "tests.checkpoint.chain_kill_driver",
    "cache": "tests.policies.stores.kill_driver",
}


def start(driver: str, folder: Path, seed: int) -> subprocess.Popen[str]:
    """Start a driver with its share of the runs."""
    folder.mkdir()
    return subprocess.Popen(
        # On a slow disk a node of the driver may hold the loop, which is warned of.
        [
            sys.executable,
            "-W",
            "ignore::RuntimeWarning",
            "-m",
            driver,
            str(folder),
            str(RUNS // AT_ONCE),
            str(seed * RUNS),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
@pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS)
def test_a_run_that_is_killed_and_started_again_loses_nothing_and_repeats_nothing(
    driver: str, tmp_path: Path
) -> None:
    drivers = [start(driver, tmp_path / str(number), number) for number in range(AT_ONCE)]
    totals: Counter[str] = Counter()
    for driving in drivers:
        output, errors = driving.communicate()
        assert errors == ""
        report = json.loads(output)
        assert report.pop("wrong") == {}
        totals.update(report)
    assert totals["runs"] == RUNS // AT_ONCE * AT_ONCE
    # The moments were such that it was worth it.
    assert totals["killed"] > RUNS // 2
    assert totals["in_the_middle"] > RUNS // 5


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
def test_rule_r60_a_long_chain_that_is_killed_twenty_times_repeats_one_item_a_lane(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", DRIVERS["chain"], str(tmp_path)]
    driven = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(driven.stdout) == [20, []]
