"""What type checkers say of the library's use."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ACCEPTED, REJECTED = HERE / "accepted.py", HERE / "rejected.py"


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
    assert run_mypy("--strict", "--warn-unused-ignores", ACCEPTED, REJECTED) == []


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


@pytest.mark.slow
@pytest.mark.one_python
def test_the_examples_of_the_readme_have_no_wrong_types(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL))
    assert len(blocks) > 20
    for block in blocks:
        line = readme.count("\n", 0, block.start(1))
        (tmp_path / f"line_{line}.py").write_text(_without_top_level_async(block[1]))
    # They are as untyped as programs may be: nothing is said of None, of empty lists, of overrides.
    untyped = ["--config-file=", "--check-untyped-defs", "--no-strict-optional"]
    for code in ("override", "top-level-await", "var-annotated"):
        untyped += ["--disable-error-code", code]
    errors = run_mypy(*untyped, "--ignore-missing-imports", *sorted(tmp_path.glob("*.py")))
    assert [error for error in errors if not _is_of_rx(error, tmp_path)] == []


def _without_top_level_async(code: str) -> str:
    """Put what no checker lets stand at the top level into functions."""
    lines = code.splitlines()
    for statement in reversed(ast.parse(code).body):
        if isinstance(statement, (ast.AsyncFunctionDef, ast.ClassDef, ast.FunctionDef)):
            continue
        if any(isinstance(part, (ast.AsyncFor, ast.AsyncWith)) for part in ast.walk(statement)):
            first, last = statement.lineno - 1, statement.end_lineno
            inside = [f"    {line}" for line in lines[first:last]]
            lines[first:last] = ["async def _() -> None:", *inside]
    return "\n".join(lines) + "\n"


def _is_of_rx(error: str, folder: Path) -> bool:
    """Whether it is of a lambda in a generic operator of Rx's, of whose items nothing is known."""
    found = re.match(r"(?:.*/)?(line_\d+\.py):(\d+): ", error)
    assert found is not None
    line = (folder / found[1]).read_text().splitlines()[int(found[2]) - 1]
    return re.match(r" *ops\.\w+\(lambda ", line) is not None


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "nadoo_flow" / "py.typed").is_file()
