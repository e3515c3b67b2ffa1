"""README.md keeps its word: it is short, and its commands, picture and tables are right."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shlex
import subprocess

import pytest

from .pages import COMMANDS, FRONT, PAGES, ROOT, find_blocks, find_targets, read, read_prose
from .picture import PICTURE, draw_in_virtual_time


def test_it_is_short() -> None:
    assert len(read(FRONT).splitlines()) <= 300


def test_its_first_example_is_short() -> None:
    first = next(block.code for block in find_blocks(FRONT) if block.language == "python")
    written = [line for line in first.splitlines() if line and not line.startswith("# ->")]
    assert len(written) <= 20


def test_the_set_up_is_one_command_for_the_demo_and_one_for_the_tests() -> None:
    demo, tests, *_ = [
        block.code.strip() for block in find_blocks(FRONT) if block.language == "bash"
    ]
    assert demo.endswith("python -m nadoo_flow demo")
    assert tests.endswith("python -m pytest -q")
    assert "\n" not in demo + tests


def test_the_gate_runs_the_test_command_of_this_page() -> None:
    printed = subprocess.run(
        [ROOT / ".ci" / "test-command"], capture_output=True, text=True, check=True
    ).stdout
    assert printed == COMMANDS[1] + "\n"
    assert "$(.ci/test-command)" in (ROOT / ".ci" / "test").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", sorted({line for code in COMMANDS for line in code.splitlines()}))
def test_a_command_names_only_what_exists(line: str) -> None:
    for command in line.split(" && "):
        match shlex.split(command):
            case ["python3", "-m", "venv", ".venv"]:
                pass
            case [".venv/bin/pip", "install", "-q", "-e", requirement]:
                assert_installable(requirement)
            case [".venv/bin/python", "-m", module, *arguments]:
                assert_runnable(module, arguments)
            case [".venv/bin/python", folder]:
                assert (ROOT / folder / "__main__.py").is_file()
            case [".venv/bin/jupyter", "lab", folder]:
                assert list((ROOT / folder).glob("*.ipynb"))
            case [script]:
                assert os.access(ROOT / script, os.X_OK)
            case unknown:
                pytest.fail(f"a form of command that is not checked: {unknown}")


def assert_installable(requirement: str) -> None:
    """Check that it is the checkout itself, with extras that setup.cfg has."""
    found = re.fullmatch(r"\.(?:\[(\w+)\])?", requirement)
    assert found is not None
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert found[1] is None or found[1] in setup["options.extras_require"]


def assert_runnable(module: str, arguments: list[str]) -> None:
    """Check a module for `python -m`; a command of our own has a module of its own."""
    assert importlib.util.find_spec(f"{module}.__main__") or importlib.util.find_spec(module)
    if module == "nadoo_flow":
        (command,) = arguments
        assert importlib.util.find_spec(f"nadoo_flow.cli.{command}") is not None


def test_every_notebook_is_listed() -> None:
    notebooks = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    listed = {target for target in find_targets(FRONT) if target.endswith(".ipynb")}
    assert listed == notebooks


def test_every_program_to_copy_is_linked() -> None:
    linked = {(page.parent / path).resolve() for page in PAGES for path in find_targets(page)}
    programs = set((ROOT / "notebooks" / "apps").glob("[!_]*.py"))
    assert [path.name for path in sorted(programs - linked)] == []


def test_each_promise_is_linked_to_its_rules() -> None:
    contract = (ROOT / "tests" / "CONTRACT.md").read_text(encoding="utf-8")
    rules = set(re.findall(r"^- \*\*(\w+)\*\*", contract, re.MULTILINE))
    linked = re.findall(r"\[([^\]]+)\]\(tests/CONTRACT\.md#", read_prose(FRONT))
    named = {rule for text in linked for rule in re.findall(r"\bR?\d+\b", text)}
    assert len(named) >= 10
    assert named - rules == set()


def test_the_picture_is_what_its_script_draws() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw_in_virtual_time()
