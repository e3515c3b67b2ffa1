"""What type checkers say of the library's use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nadoo_flow

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ACCEPTED, REJECTED = HERE / "accepted.py", HERE / "rejected.py"


STRICT = ("--strict", "--untyped-calls-exclude", "distributed")
"""Options of all such runs, which then share a cache. What has no types itself may be called."""


def run_mypy(*arguments: str | Path) -> list[str]:
    """Return the errors that mypy reports."""
    command = [sys.executable, "-m", "mypy", "--hide-error-context", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


def run_pyright(path: Path, folder: Path, **settings: Any) -> dict[int, str]:
    """Return the errors that pyright reports, by their lines."""
    config = folder / "pyrightconfig.json"
    config.write_text(json.dumps({"include": [str(path)], "extraPaths": [str(ROOT)], **settings}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", config]
    done = subprocess.run(
        [*command, "--pythonpath", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1, done.stdout
    return {
        found["range"]["start"]["line"] + 1: found["message"]
        for found in report["generalDiagnostics"]
        if found["severity"] == "error"
    }


@pytest.mark.slow
@pytest.mark.one_python
def test_mypy_accepts_right_uses_and_rejects_wrong_ones() -> None:
    assert run_mypy(*STRICT, ACCEPTED, REJECTED) == []


@pytest.mark.slow
@pytest.mark.one_python
def test_pyright_accepts_right_uses(tmp_path: Path) -> None:
    assert run_pyright(ACCEPTED, tmp_path, typeCheckingMode="standard") == {}


@pytest.mark.slow
@pytest.mark.one_python
def test_pyright_rejects_wrong_uses(tmp_path: Path) -> None:
    settings = {"typeCheckingMode": "standard", "enableTypeIgnoreComments": False}
    lines = enumerate(REJECTED.read_text().splitlines(), 1)
    wrong = {number for number, line in lines if "# type: ignore" in line}
    assert set(run_pyright(REJECTED, tmp_path, **settings)) == wrong


def test_right_uses_are_accepted_as_they_are() -> None:
    # The only thing to ignore is that a function stands for those that have no types.
    ignored = re.findall(r"# type: ignore.*", ACCEPTED.read_text())
    assert ignored == ["# type: ignore[no-untyped-def]"]


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(nadoo_flow.__file__).parent / "py.typed").is_file()
