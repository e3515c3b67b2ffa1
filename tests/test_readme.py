"""README.md keeps its word: its examples print what they say, its commands and links exist."""

from __future__ import annotations

import ast
import asyncio
import configparser
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import nadoo_flow

from .virtual_time import VirtualTimeLoop

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block of code, and the line of the README on which it starts."""

    language: str
    line: int
    code: str


BLOCKS = [
    Block(found[1], README.count("\n", 0, found.start(2)), found[2])
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
]
PROGRAMS = {
    path.read_text(encoding="utf-8"): path.name for path in ROOT.glob("tests/examples/[!_]*.py")
}
EXAMPLES = [block for block in BLOCKS if block.language == "python" and block.code not in PROGRAMS]
WORKERS = "nadoo_flow.executors"
"""What is imported by the examples whose work is done elsewhere, in real time."""
COMMANDS = [block.code.strip() for block in BLOCKS if block.language == "bash"]


def run_as_script(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block in a namespace of its own; it may await at its top level.

    Time is virtual, except where other processes work.
    """
    real_loop = asyncio.events.new_event_loop
    make_loop = real_loop if WORKERS in block.code else VirtualTimeLoop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        here = threading.current_thread() is threading.main_thread()
        return make_loop() if here else real_loop()

    # asyncio.run inside a block takes its loop from here, and so do the threads of other packages.
    monkeypatch.setattr(asyncio.events, "new_event_loop", new_event_loop)
    code = compile(
        "\n" * block.line + block.code,  # so that a traceback shows the line of the README
        "README.md",
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    answer: Any = eval(code, {"__name__": "__main__"})
    if inspect.isawaitable(answer):
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(_leaving_no_task(answer))


async def _leaving_no_task(work: Awaitable[object]) -> None:
    await work
    await asyncio.sleep(1)  # what was disposed, as by ops.take, ends soon and is not awaited
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block,
            id=f"line{block.line}",
            marks=[pytest.mark.slow] if WORKERS in block.code else [],
        )
        for block in EXAMPLES
    ],
)
def test_an_example_prints_what_its_comments_say(
    block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_as_script(block, monkeypatch)
    promised = re.findall(r"^# -> (.*)$", block.code, re.MULTILINE)
    assert promised, "an example must show what it prints"
    assert capsys.readouterr().out.splitlines() == promised


def test_every_block_of_code_is_one_that_is_checked() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash", "text"}
    assert README.count("```") == 2 * len(BLOCKS)
    assert len(EXAMPLES) >= 20


def test_every_program_of_the_examples_is_shown_as_it_is() -> None:
    shown = {block.code for block in BLOCKS}
    assert [name for program, name in PROGRAMS.items() if program not in shown] == []
    assert PROGRAMS


def test_every_public_name_is_shown() -> None:
    words = set(re.findall(r"\w+", README))
    assert [name for name in nadoo_flow.__all__ if name not in words] == []


def test_the_set_up_is_one_command_for_the_demo_and_one_for_the_tests() -> None:
    demo, tests, *_ = COMMANDS
    assert demo.endswith("python -m nadoo_flow demo")
    assert tests.endswith("python -m pytest -q")
    assert "\n" not in demo + tests


@pytest.mark.parametrize("line", [line for code in COMMANDS for line in code.splitlines()])
def test_a_command_names_only_what_exists(line: str) -> None:
    for command in line.split(" && "):
        match shlex.split(command):
            case ["python3", "-m", "venv", ".venv"]:
                pass
            case [".venv/bin/pip", "install", "-q", "-e", requirement]:
                assert_installable(requirement)
            case [".venv/bin/python", "-m", module, *arguments]:
                assert_runnable(module, arguments)
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
    assert importlib.util.find_spec(f"{module}.__main__") is not None
    if module == "nadoo_flow":
        (command,) = arguments
        assert importlib.util.find_spec(f"nadoo_flow.cli.{command}") is not None


def test_the_gate_runs_the_test_command_of_this_page() -> None:
    printed = subprocess.run(
        [ROOT / ".ci" / "test-command"], capture_output=True, text=True, check=True
    ).stdout
    assert printed == COMMANDS[1] + "\n"
    assert "$(.ci/test-command)" in (ROOT / ".ci" / "test").read_text(encoding="utf-8")


def test_every_notebook_is_listed() -> None:
    notebooks = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks == set(re.findall(r"\]\((notebooks/[^)]+)\)", README))


def test_every_local_link_leads_somewhere() -> None:
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    targets = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", prose)
        if not target.startswith(("https:", "#"))
    ]
    assert [target for target in targets if not (ROOT / target).is_file()] == []
    assert set(re.findall(r"\]\(#([^)\s]+)\)", prose)) <= anchors
