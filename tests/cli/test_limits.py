"""``--budget``, and what ends a run: ``--deadline``, ``--max-failures``, ``--max-usage``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import NodeResult
from nadoo_flow.__main__ import main
from nadoo_flow.cli.run.amounts import parse_amounts, parse_budget, parse_failures
from nadoo_flow.cli.run.budget import LEAST, UsageEstimate

from .test_run import Run, in_order, outputs, start, write

NODES = """
import asyncio
import time

from nadoo_flow import NodeResult


async def paid(text):
    await asyncio.sleep(0.001)
    return NodeResult(True, time.monotonic(), metadata={"usage": {"tokens": 100, "usd": 0.5}})


async def unpaid(text):
    return text


def fails(text):
    raise ValueError(text)


async def waits(seconds):
    await asyncio.sleep(float(seconds))
    return seconds
"""


@pytest.fixture
def nodes(folder: Path) -> Path:
    (folder / "paid_nodes.py").write_text(NODES)
    return folder


def make_lines(number: int) -> str:
    return "".join(f"{n}\n" for n in range(number))


def test_amounts_and_their_window_are_read() -> None:
    assert parse_budget("requests=500,tokens=90_000/60") == (
        {"requests": 500.0, "tokens": 90_000.0},
        60.0,
    )
    assert parse_amounts("usd=0.5") == {"usd": 0.5}
    assert [parse_failures(text) for text in ("3", "0.1")] == [3, 0.1]


@pytest.mark.parametrize(
    ("parse", "text", "complaint"),
    [
        (parse_budget, "tokens=5", "must be NAME=NUMBER/SECONDS, such as requests=500"),
        (parse_budget, "tokens=5/0", "must be a number above 0, got '0'"),
        (parse_budget, "tokens/60", "must be NAME=NUMBER, with commas between, got 'tokens'"),
        (parse_budget, "=5/60", "must be NAME=NUMBER, with commas between, got '=5'"),
        (parse_amounts, "usd=x", "must be a number above 0, got 'x'"),
        (parse_amounts, "usd=1,usd=2", "must name each unit once, got 'usd' twice"),
        (parse_failures, "1.5", "must be a whole number, or a part below 1, got '1.5'"),
        (parse_failures, "0", "must be a number above 0, got '0'"),
    ],
)
def test_what_is_no_amount_is_refused(
    parse: Callable[[str], object], text: str, complaint: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        parse(text)
    assert str(refused.value).startswith(complaint)


def test_a_wrong_budget_is_bad_usage(nodes: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "paid_nodes:paid", "--budget=tokens"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--budget=requests=1/1", "--rate=1"], "--rate and --budget exclude each other\n"),
        (
            ["--budget=requests=0.5/1"],
            "--budget: requests must be at least 1, got 0.5; make per longer instead\n",
        ),
    ],
)
def test_a_budget_that_cannot_be_is_one_clear_line(
    options: list[str], complaint: str, run: Run, nodes: Path
) -> None:
    status, _, errors = run("paid_nodes:paid", write(nodes, "in.txt", "a\n"), *options)
    assert (status, errors.partition(": ")[2]) == (2, complaint)


def report(**usage: float) -> NodeResult:
    return NodeResult(True, None, metadata={"usage": usage})


def test_a_call_is_expected_to_use_what_those_before_it_have_used_on_average() -> None:
    usage = UsageEstimate({"requests": 9.0, "tokens": 250.0})
    assert usage.estimate("a") == {"requests": 1, "tokens": LEAST}
    assert usage.read_actual(report(tokens=100, usd=1)) == {"tokens": 100}
    assert usage.estimate("b") == {"requests": 1, "tokens": 100}
    assert usage.read_actual(report(tokens=200, requests=3)) == {"tokens": 200, "requests": 3}
    assert usage.estimate("c") == {"requests": 3, "tokens": 150}
    usage.read_actual(report(tokens=9_000))
    assert usage.estimate("d")["tokens"] == 250  # or no call could start any more
    assert usage.read_actual(NodeResult(False, error="no")) == {}
    assert usage.read_actual(report(tokens=-1, requests=1)) == {"requests": 1}


def test_a_budget_counts_what_the_node_reports(run: Run, nodes: Path) -> None:
    name = write(nodes, "in.txt", make_lines(6))
    budget = ("--budget", "tokens=200/0.3", "--concurrency", 1)
    began = time.monotonic()
    status, lines, errors = run("paid_nodes:paid", name, *budget)
    assert (status, len(lines), errors[:9]) == (0, 6, "6 results")
    assert time.monotonic() - began >= 0.6  # two in a window


def test_a_budget_of_requests_needs_no_report(run: Run, nodes: Path) -> None:
    name = write(nodes, "in.txt", make_lines(5))
    began = time.monotonic()
    status, lines, errors = run("paid_nodes:unpaid", name, "--budget", "requests=2/0.1")
    assert (status, len(lines), errors.count("\n")) == (0, 5, 1)
    assert time.monotonic() - began >= 0.2


def test_a_unit_that_no_answer_names_is_said_once(run: Run, nodes: Path) -> None:
    name = write(nodes, "in.txt", make_lines(3))
    status, lines, errors = run("paid_nodes:unpaid", name, "--budget", "requests=9,tokens=9/60")
    assert (status, len(lines)) == (0, 3)
    assert errors.splitlines()[:-1] == [
        'the node does not say how many tokens it has used, in metadata["usage"], '
        "so the budget may not limit them"
    ]


@pytest.mark.slow
def test_a_budget_holds_for_all_processes_together(nodes: Path) -> None:
    name = write(nodes, "in.txt", make_lines(10))
    process = start(
        "paid_nodes:paid", name, "--processes", 2, "--budget", "requests=2,tokens=1e6/1.0"
    )
    printed, errors = process.communicate()
    started = sorted(outputs(in_order(printed)))
    assert (process.returncode, errors[:24]) == (0, "10 results: 10 succeeded")
    # Five windows, less what the first call waited for its process; with a budget for each three.
    assert started[-1] - started[0] > 2.2


@pytest.mark.parametrize(
    ("node", "options", "reason"),
    [
        (
            "paid",
            ["--max-usage", "usd=2"],
            "max_usage of 2 usd was reached: 2 usd used; 6 not started",
        ),
        (
            "fails",
            ["--max-failures", 3],
            "max_failures of 3 was reached: 3 of 3 finished items failed; 7 not started",
        ),
    ],
)
def test_a_limit_ends_the_run(
    node: str, options: list[Any], reason: str, run: Run, nodes: Path
) -> None:
    name = write(nodes, "in.txt", make_lines(10))
    status, lines, errors = run(f"paid_nodes:{node}", name, "--concurrency", 1, *options)
    said = errors.splitlines()
    assert (status, said[1]) == (1, reason)
    assert said[-1] == "results are not kept for a later run; use --checkpoint FILE to keep them"
    assert len(lines) == int(said[0].split()[0])


def test_a_run_that_a_limit_ended_goes_on_from_its_checkpoint(run: Run, nodes: Path) -> None:
    name = write(nodes, "in.txt", make_lines(7))
    command = ("paid_nodes:paid", name, "--concurrency", 1, "--max-usage", "usd=2")
    more = ("--checkpoint", "run.sqlite")
    status, _, errors = run(*command, *more)
    assert (status, errors.splitlines()[-1].startswith("to resume: ")) == (1, True)
    status, lines, _ = run(*command, *more)
    assert (status, len(lines)) == (0, 7)


def test_a_deadline_ends_the_run(run: Run, nodes: Path) -> None:
    name = write(nodes, "in.txt", "0.4\n" + "0\n" * 3)
    options = ("--concurrency", 1, "--deadline", 0.1)
    status, lines, errors = run("paid_nodes:waits", name, *options)
    assert (status, outputs(lines)) == (1, ["0.4"])
    assert errors.splitlines()[1] == "the deadline of 100 ms was reached; 3 not started"


def test_failures_are_counted_as_a_part_of_the_finished(run: Run, nodes: Path) -> None:
    name = write(nodes, "in.txt", make_lines(30))
    options = ("--concurrency", 1, "--max-failures", 0.5)
    status, lines, _ = run("paid_nodes:fails", name, *options)
    assert (status, len(lines)) == (1, 20)
