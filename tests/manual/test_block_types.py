"""Every block of code of the front page and the manual is typed, as mypy --strict sees it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..typing.test_types import STRICT
from .pages import EXAMPLES, ROOT
from .test_blocks import uses_others
from .typed_block import TOP_LEVEL, make_checkable


@pytest.mark.slow
@pytest.mark.one_python
def test_the_blocks_have_no_wrong_types(tmp_path: Path) -> None:
    (tmp_path / "top_level.pyi").write_text(TOP_LEVEL)
    for block in EXAMPLES:
        if uses_others(block):
            continue  # their libraries are not installed for the tests
        module = tmp_path / f"{block.name}.py"
        module.write_text(make_checkable(block.code, block.line), encoding="utf-8")
    assert [error for error in find_errors(tmp_path) if not is_left_alone(error, tmp_path)] == []


def find_errors(folder: Path) -> list[str]:
    """Return what mypy --strict says of the modules in a folder."""
    command = [sys.executable, "-m", "mypy", "--hide-error-context", *STRICT]
    done = subprocess.run(
        [*command, *sorted(folder.glob("*.py"))],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


def is_left_alone(error: str, folder: Path) -> bool:
    """Return whether an error is one that a reader would rather see than what avoids it.

    The types of Rx say nothing of the items of a lambda inside ``pipe``; a named function with
    types would.
    """
    found = re.match(r"(?:.*/)?(\w+\.py):(\d+): ", error)
    assert found is not None, error
    line = (folder / found[1]).read_text(encoding="utf-8").splitlines()[int(found[2]) - 1]
    return re.match(r" *ops\.\w+\(lambda ", line) is not None


def test_an_error_is_found_on_the_line_of_its_page(tmp_path: Path) -> None:
    code = "async with a as b:\n    print([await x async for x in b])\nawait ä(await b)\n"
    assert make_checkable(code, 3).splitlines() == [
        "from top_level import awaited, entered, each",
        "",
        "",
        "with entered(a) as b:",
        "    print([awaited(x) for x in each(b)])",
        "awaited(ä(awaited(b)))",
    ]


@pytest.mark.slow
@pytest.mark.one_python
def test_a_wrong_type_is_found(tmp_path: Path) -> None:
    code = "async def ask() -> int: ...\nanswer: str = await ask()\n"
    (tmp_path / "top_level.pyi").write_text(TOP_LEVEL)
    (tmp_path / "wrong.py").write_text(make_checkable(code, 10))
    (error, *_) = [line for line in find_errors(tmp_path) if "assignment" in line]
    assert "wrong.py:12: " in error
