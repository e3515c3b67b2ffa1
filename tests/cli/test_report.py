"""``nadoo-flow run --report``: a page about a run that has ended, however that was."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from html import unescape
from importlib import import_module
from pathlib import Path

import pytest

from nadoo_flow.cli.run.report import ReportTrace
from nadoo_flow.events import Event

from ..hostile_texts import HOSTILE, tags_of
from ..interrupts import interruptible
from .test_run import Run, write

NODES = """
import asyncio
import os

from nadoo_flow import BaseNode, FunctionNode

texts = []


def fail(number):
    raise type("Odd", (Exception,), {"__name__": "Odd"})(texts[int(number)])


class Undrawable(BaseNode):
    def _repr_svg_(self):
        raise RuntimeError("no picture")


def odd(text):
    if int(text) % 2 == 0:
        raise ValueError(f"{text} is even")
    return int(text)


pipeline = FunctionNode(str.strip, "strip") | FunctionNode(odd, "odd <1>")


async def gated(text):
    while text != "0" and not os.path.exists("gate"):
        await asyncio.sleep(0.005)
    return text
"""


@pytest.fixture(autouse=True)
def _nodes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "report_nodes.py").write_text(NODES)
    monkeypatch.delitem(sys.modules, "report_nodes", raising=False)
    monkeypatch.syspath_prepend(folder)


def read(folder: Path, name: str = "report.html") -> str:
    """Return a report, and check that it is one page that loads nothing and runs nothing."""
    page = (folder / name).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    tags = tags_of(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    assert not tags & {"script", "img", "link", "iframe", "a"}
    assert not re.search(r"url\(|@import|http(?!-equiv|://www\.w3\.org/2000/svg)", page)
    return page


def words_of(page: str) -> str:
    return unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))


def test_it_holds_the_counts_the_failures_and_all_pictures(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n2\n3\n")
    status, _, errors = run(
        "report_nodes:pipeline", name, "-o", "out.jsonl", "--report", "report.html"
    )
    assert (status, errors.count("\n")) == (1, 2)
    page = read(folder)
    words = words_of(page)
    for part in (
        "Run of report_nodes:pipeline",
        "completed, began 2",
        "--report report.html",
        "3 items",
        "2 successful",
        "1 failed",
        "stage 'odd <1>': ValueError: 2 is even",
    ):
        assert part in words
    assert re.findall("<h2>(.*?)</h2>", page) == ["Results", "Nodes", "Timeline", "Marbles"]
    assert page.count("<svg") == 4
    assert "odd &lt;1&gt;" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_stranger_gets_out_of_its_place(text: str, run: Run, folder: Path) -> None:
    import_module("report_nodes").texts.append(text)
    name = write(folder, "in.jsonl", '"0"\n')
    assert run("report_nodes:fail", name, "--report", "report.html")[0] == 1
    assert len(read(folder)) < 30_000


def test_a_node_that_cannot_be_drawn_costs_only_its_picture(run: Run, folder: Path) -> None:
    name = write(folder, "in.txt", "1\n")
    run("report_nodes:Undrawable", name, "--report", "report.html")
    assert re.findall("<h2>(.*?)</h2>", read(folder)) == ["Results", "Timeline", "Marbles"]


def test_an_empty_input_has_one_too(run: Run, folder: Path) -> None:
    assert run("report_nodes:odd", write(folder, "in.txt", ""), "--report", "report.html")[0] == 0
    assert "0 items" in words_of(read(folder))


def test_a_run_that_ends_with_an_error_has_one(run: Run, folder: Path) -> None:
    name = write(folder, "in.jsonl", '"1"\n"3"\nno JSON\n')
    more = ("--bad-lines", "stop", "--report", "report.html")
    assert run("report_nodes:odd", name, *more)[0] == 2
    words = words_of(read(folder))
    assert "failed: the input in.jsonl: line 3" in words
    assert "2 items" in words


def test_what_came_from_a_checkpoint_is_counted(run: Run, folder: Path) -> None:
    command = ("report_nodes:odd", write(folder, "in.txt", "1\n3\n"), "--checkpoint", "run.sqlite")
    run(*command)
    run(*command, "--report", "report.html")
    assert "2 came from the checkpoint" in words_of(read(folder))


def test_a_bad_line_is_shown_as_it_is(run: Run, folder: Path) -> None:
    run("report_nodes:odd", write(folder, "in.jsonl", "{no JSON\n"), "--report", "report.html")
    assert " {no JSON " in words_of(read(folder))


def test_events_that_are_left_out_are_counted(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nadoo_flow.cli.run.report.MOST_EVENTS", 10)
    run("report_nodes:odd", write(folder, "in.txt", "1\n" * 20), "--report", "report.html")
    words = words_of(read(folder))
    assert "20 items" in words
    assert words.count("The trace was full: 30 older events were left out.") == 2


def test_of_an_error_only_the_beginning_is_kept() -> None:
    trace = ReportTrace(9)
    for error in ("x" * 10_000, "short", None):
        trace.on_event(Event("failed", "stage", 0, 0, 1.0, error=error))
    assert [event.error for event in trace.events] == ["x" * 299 + "…", "short", None]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_does_not_hide_how_the_run_ended(run: Run, folder: Path) -> None:
    bad = write(folder, "in.jsonl", "1\n{\n")
    options = ("-o", "out.jsonl", "--bad-lines", "stop", "--report", "/dev/full")
    status, _, errors = run("report_nodes:odd", bad, *options)
    ended, _, unwritten = errors.splitlines()[-1].rpartition("; cannot write /dev/full: ")
    assert (status, unwritten) == (2, os.strerror(errno.ENOSPC))
    assert "the input in.jsonl: line 2" in ended


def test_a_dry_run_writes_none(run: Run, folder: Path) -> None:
    run("report_nodes:odd", write(folder, "in.txt", "1\n"), "--dry-run", 1, "--report", "r.html")
    assert not (folder / "r.html").exists()


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("missing/report.html", "cannot write missing/report.html: "),
        ("in.txt", "the report in.txt is the input; name another file"),
        ("out.jsonl", "the report out.jsonl is the output; name another file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_before_the_run(
    path: str, complaint: str, run: Run, folder: Path
) -> None:
    name = write(folder, "in.txt", "1\n")
    status, _, errors = run("report_nodes:odd", name, "-o", "out.jsonl", "--report", path)
    assert (status, complaint in errors) == (2, True)
    assert not (folder / "out.jsonl").exists()


def test_a_run_that_cannot_begin_leaves_the_last_report_alone(run: Run, folder: Path) -> None:
    write(folder, "report.html", "old")
    assert run("report_nodes:odd", "missing.txt", "--report", "report.html")[0] == 2
    assert (folder / "report.html").read_text() == "old"


@pytest.mark.slow
@pytest.mark.one_python
@pytest.mark.parametrize("again", [False, True], ids=["drained", "cancelled"])
def test_an_interrupted_run_has_one(again: bool, folder: Path) -> None:
    write(folder, "in.txt", "0\n1\n2\n3\n4\n")
    command = "-m nadoo_flow run report_nodes:gated in.txt -o out --concurrency 2"
    with (
        interruptible(),
        subprocess.Popen(
            [sys.executable, *command.split(), "--report", "report.html"],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        deadline = time.monotonic() + 30
        while not (folder / "out").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "2 in work; Ctrl-C again to cancel them\n"
        if again:
            process.send_signal(signal.SIGINT)
        else:
            (folder / "gate").touch()
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    words = words_of(read(folder))
    assert "interrupted, began" in words
    assert f"{1 if again else 3} item" in words
    assert ("2 cancelled" in words) == again


@pytest.mark.slow
@pytest.mark.one_python
def test_it_needs_no_more_memory_for_more_items(folder: Path) -> None:
    peaks = []
    for number in (60_000, 180_000):
        write(folder, "in.txt", "1\n2\n" * (number // 2))
        code = (
            "import resource, sys; from nadoo_flow.__main__ import main; main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = "run report_nodes:odd in.txt -o out --report report.html"
        done = subprocess.run(
            [sys.executable, "-c", code, *command.split()],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
        assert f"{number:,} items" in words_of(read(folder))
    assert peaks[1] < peaks[0] * 1.1
