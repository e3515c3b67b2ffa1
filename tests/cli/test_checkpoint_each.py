"""``nadoo-flow run --checkpoint-each``: what is recorded are the nodes of a pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from nadoo_flow.__main__ import get_program_name

from .test_run import Run, in_order, outputs, write

PATIENCE = 60.0
"""Seconds after which a process is taken to hang."""
INPUTS = 40
LANES = 4
KILLS = 3
EXECUTED = 30
"""How many executions each killed process has finished."""

NODES = """
import asyncio
import os

from nadoo_flow import FunctionNode

started = 0


async def execute(node, text):
    global started
    with open("executed", "a") as notes:
        notes.write(f"{node} {text}\\n")
    started += 1
    if started > int(os.environ.get("HOLD_AFTER", 1000)):
        await asyncio.sleep(600)


async def fetch(text):
    await execute("fetch", text)
    return {"text": text}


async def check(page):
    await execute("check", page["text"])
    if os.path.exists(f"refused {page['text']}"):
        os.remove(f"refused {page['text']}")
        raise ValueError("refused")
    return page


async def use(page):
    await execute("use", page["text"])
    return page


pipeline = FunctionNode(fetch) | check | use
"""


@pytest.fixture(autouse=True)
def nodes(folder: Path) -> None:
    (folder / "steps.py").write_text(NODES)
    sys.modules.pop("steps", None)


def read_executed(folder: Path) -> list[str]:
    path = folder / "executed"
    return path.read_text().splitlines() if path.exists() else []


def test_a_later_run_goes_on_with_the_node_that_is_missing(run: Run, folder: Path) -> None:
    command = ("steps:pipeline", write(folder, "in.txt", "1\n2\n"), "--checkpoint", "run.sqlite")
    write(folder, "refused 2", "")
    assert run(*command, "--checkpoint-each")[0] == 1
    before = read_executed(folder)
    assert sorted(before) == ["check 1", "check 2", "fetch 1", "fetch 2", "use 1"]
    status, lines, errors = run(*command, "--checkpoint-each")
    assert (status, [line["metadata"] for line in lines]) == (0, [{"resumed": True}, {}])
    assert read_executed(folder)[len(before) :] == ["check 2", "use 2"]
    assert errors == "2 results: 2 succeeded (1 from the checkpoint), 0 failed, in T s\n"


def test_policies_go_around_each_node(run: Run, folder: Path) -> None:
    command = ("steps:pipeline", write(folder, "in.txt", "1\n"), "--cache", "cache.sqlite")
    write(folder, "refused 1", "")
    assert run(*command, "--checkpoint", "first.sqlite", "--checkpoint-each")[0] == 1
    assert run(*command, "--checkpoint", "second.sqlite", "--checkpoint-each")[0] == 0
    assert read_executed(folder) == ["fetch 1", "check 1", "check 1", "use 1"]


def test_a_bad_line_fails_alone(run: Run, folder: Path) -> None:
    command = ("steps:pipeline", write(folder, "in.jsonl", '"1"\n{\n"2"\n'))
    for _ in range(2):
        status, lines, _ = run(*command, "--checkpoint", "run.sqlite", "--checkpoint-each")
        assert (status, [line["success"] for line in lines]) == (1, [True, False, True])
        assert lines[1]["metadata"] == {"line": 2}
    assert len(read_executed(folder)) == 6


def test_a_dry_run_records_nothing(run: Run, folder: Path) -> None:
    command = ("steps:pipeline", write(folder, "in.txt", "1\n2\n"), "--dry-run", 1)
    status, lines, _ = run(*command, "--checkpoint", "run.sqlite", "--checkpoint-each")
    assert (status, len(lines)) == (0, 1)
    assert not (folder / "run.sqlite").exists()


@pytest.mark.parametrize("dry", [[], ["--dry-run", "1"]])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["steps:pipeline", "--checkpoint-each"],
            "--checkpoint-each says what --checkpoint FILE records; name a file too",
        ),
        (
            ["steps:fetch", "--checkpoint", "run.sqlite", "--checkpoint-each"],
            "--checkpoint-each needs a pipeline, whose nodes it records, and steps:fetch is "
            "FunctionNode('fetch')",
        ),
    ],
)
def test_what_cannot_be_recorded_is_one_clear_line_and_status_2(
    arguments: list[str], complaint: str, dry: list[str], run: Run, folder: Path
) -> None:
    name = write(folder, "in.txt", "1\n")
    assert run(arguments[0], name, *arguments[1:], *dry) == (
        2,
        [],
        f"{get_program_name()}: {complaint}\n",
    )
    assert read_executed(folder) == []


@pytest.mark.slow
@pytest.mark.one_python
def test_rule_r60_a_killed_command_repeats_one_node_for_each_input_in_work(folder: Path) -> None:
    write(folder, "in.txt", "".join(f"{number}\n" for number in range(INPUTS)))
    command = [sys.executable, "-m", "nadoo_flow", "run", "steps:pipeline", "in.txt", "-o", "out"]
    command += ["--concurrency", str(LANES), "--checkpoint", "run.sqlite", "--checkpoint-each"]
    hold = {**os.environ, "HOLD_AFTER": str(EXECUTED)}
    for kill in range(1, KILLS + 1):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=hold
        )
        try:
            wait_for_executions(folder, kill * (EXECUTED + LANES))
        finally:
            process.kill()
            process.wait()
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr[:26]) == (0, "40 results: 40 succeeded (")
    lines = in_order((folder / "out").read_text())
    assert [output["text"] for output in outputs(lines)] == [str(n) for n in range(INPUTS)]
    executed = Counter(read_executed(folder))
    assert len(executed) == 3 * INPUTS
    # Each lane had a node in work at each kill.
    assert executed.total() - len(executed) == KILLS * LANES


def wait_for_executions(folder: Path, number: int) -> None:
    """Wait until so many lines have been written by all processes so far."""
    deadline = time.monotonic() + PATIENCE
    while len(read_executed(folder)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)
