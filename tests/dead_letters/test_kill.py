"""A killed process has written the letter of each failure that it had handed out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("NADOO_FLOW_KILLED_LETTERS", "50"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver forks")
def test_no_letter_of_a_failure_that_was_handed_out_is_lost(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.dead_letters.kill_driver", tmp_path, KILLS, 1)
    driver = subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert driver.stderr == ""
    report = json.loads(driver.stdout)
    assert report["lost"] == []
    assert report["handed_out"] > KILLS
