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
CHAIN = "tests.checkpoint.chain_kill_driver"
DRIVERS = {
    "checkpoint": ("tests.checkpoint.kill_driver", RUNS),
    "pipeline": ("tests.checkpoint.pipeline_kill_driver", RUNS // 2),
    "chain": (CHAIN, RUNS),
    "cache": ("tests.policies.stores.kill_driver", RUNS),
}


def start(driver: str, folder: Path, runs: int, seed: int) -> subprocess.Popen[str]:
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
            str(runs // AT_ONCE),
            str(seed * runs),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
@pytest.mark.parametrize(("driver", "runs"), DRIVERS.values(), ids=DRIVERS)
def test_a_run_that_is_killed_and_started_again_loses_nothing_and_repeats_nothing(
    driver: str, runs: int, tmp_path: Path
) -> None:
    drivers = [start(driver, tmp_path / str(number), runs, number) for number in range(AT_ONCE)]
    totals: Counter[str] = Counter()
    for driving in drivers:
        output, errors = driving.communicate()
        assert errors == ""
        report = json.loads(output)
        assert report.pop("wrong") == {}
        totals.update(report)
    assert totals["runs"] == runs // AT_ONCE * AT_ONCE
    # The moments were such that it was worth it.
    assert totals["killed"] > runs // 2
    assert totals["in_the_middle"] > runs // 5


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
def test_rule_r60_a_long_chain_that_is_killed_twenty_times_repeats_one_item_a_lane(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", CHAIN, str(tmp_path)]
    driven = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(driven.stdout) == [20, []]
