"""What a type checker says of the library's use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.mark.slow
def test_right_uses_are_accepted_and_wrong_ones_rejected() -> None:
    accepted, rejected = HERE / "accepted.py", HERE / "rejected.py"
    assert "type: ignore" not in accepted.read_text()
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores"]
    checked = subprocess.run(
        [*command, accepted, rejected], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "nadoo_flow" / "py.typed").is_file()
