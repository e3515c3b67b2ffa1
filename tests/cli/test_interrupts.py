"""Ctrl-C and SIGTERM while ``nadoo-flow run`` works, on a real terminal and without one."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..interrupts import interruptible

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

PATIENCE = 30.0
"""Seconds after which something is taken to hang."""
LANES = 3
INPUTS = 50
AT_ONCE = 0.2
"""Seconds after the ends of its nodes in which the command has ended."""

NODES = """
import asyncio
import os
import time


def note(file, text):
    with open(file, "a") as notes:
        notes.write(f"{text}\\n")


async def gated(text):
    note("started", text)
    try:
        while not os.path.exists("gate"):
            await asyncio.sleep(0.005)
        return text.upper()
    finally:
        note("ended", text)
        note("ended at", time.monotonic())


def blocking(text):
    note("started", text)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "waiting.py").write_text(NODES)
    (tmp_path / "in.txt").write_text("".join(f"item {number}\n" for number in range(INPUTS)))
    return tmp_path


def command(node: str) -> list[str]:
    run = [sys.executable, "-m", "nadoo_flow", "run", f"waiting:{node}", "in.txt", "-o", "out"]
    return [*run, "--concurrency", str(LANES), "--checkpoint", "run.sqlite"]


class Terminal:
    """A process whose terminal is a pseudo-terminal, and what was shown there."""

    def __init__(self, process: subprocess.Popen[bytes], keyboard: int) -> None:
        self.process = process
        self.keyboard = keyboard
        self.shown = ""

    def press_ctrl_c(self) -> None:
        os.write(self.keyboard, b"\x03")

    def wait_for(self, text: str) -> None:
        """Read what is shown until it holds a text."""
        while text not in self.shown:
            assert self._read(), f"ended without showing {text!r}:\n{self.shown}"

    def end(self) -> int:
        """Read the rest, and return the exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        try:
            read = os.read(self.keyboard, 4096)
        except OSError:  # the process has closed its side
            return False
        self.shown += read.decode().replace("\r\n", "\n")
        return bool(read)


@contextmanager
def on_terminal(folder: Path, node: str) -> Iterator[Terminal]:
    """Run the command in a session of its own, with a terminal that controls it."""
    keyboard, screen = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with interruptible():
        process = subprocess.Popen(
            command(node),
            cwd=folder,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
            preexec_fn=take_terminal,  # a terminal is taken in the new process
        )
    os.close(screen)
    try:
        yield Terminal(process, keyboard)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_notes(folder: Path, file: str) -> list[str]:
    path = folder / file
    return path.read_text().splitlines() if path.exists() else []


def check_end_at_once(folder: Path) -> None:
    """Check that a command which has ended now did not go on for long when its nodes had ended."""
    late = time.monotonic() - float(read_notes(folder, "ended at")[-1])
    # Processes that have to wait for their turn are as much slower.
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    assert late < AT_ONCE * max(1.0, load), f"{late:.3f} s, with a load of {load:.1f}"


def read_results(folder: Path) -> list[Any]:
    lines = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
    return sorted(line["output"] for line in lines)


def wait_for_starts(folder: Path) -> None:
    wait_until(lambda: len(read_notes(folder, "started")) == LANES)


def finish_the_rest(folder: Path) -> None:
    """Resume the run, and see that each item was executed no more often than it has to be."""
    (folder / "gate").touch()
    assert subprocess.run(command("gated"), cwd=folder, capture_output=True).returncode == 0
    assert len(read_results(folder)) == INPUTS


def test_the_first_ctrl_c_finishes_what_is_in_work(folder: Path) -> None:
    with on_terminal(folder, "gated") as terminal:
        wait_for_starts(folder)
        terminal.press_ctrl_c()
        terminal.wait_for("3 in work; Ctrl-C again to cancel them\n")
        (folder / "gate").touch()
        assert terminal.end() == 130
        check_end_at_once(folder)
    assert "\ninterrupted\n3 results: 3 succeeded, 0 failed, in " in terminal.shown
    assert "\nto resume: " in terminal.shown
    assert "Traceback" not in terminal.shown
    assert read_results(folder) == ["ITEM 0", "ITEM 1", "ITEM 2"]
    finish_the_rest(folder)
    assert len(read_notes(folder, "started")) == INPUTS


def test_the_second_ctrl_c_cancels_what_is_in_work(folder: Path) -> None:
    with on_terminal(folder, "gated") as terminal:
        wait_for_starts(folder)
        terminal.press_ctrl_c()
        terminal.wait_for("3 in work; Ctrl-C again to cancel them\n")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        check_end_at_once(folder)
    assert "\ninterrupted\n0 results: 0 succeeded, 0 failed, in " in terminal.shown
    assert "Traceback" not in terminal.shown
    assert sorted(read_notes(folder, "ended")) == ["item 0", "item 1", "item 2"]
    finish_the_rest(folder)
    assert len(read_notes(folder, "started")) == INPUTS + LANES


def test_a_node_that_blocks_the_event_loop_is_interrupted_by_the_third_ctrl_c(
    folder: Path,
) -> None:
    with on_terminal(folder, "blocking") as terminal:
        wait_until(lambda: len(read_notes(folder, "started")) == 1)
        for _ in range(3):
            terminal.press_ctrl_c()
            time.sleep(0.2)  # two that are pressed at once are one
        assert terminal.end() == 130
    assert "\ninterrupted\n" in terminal.shown


@pytest.mark.parametrize("repeated", [1, 2])
def test_sigterm_finishes_what_is_in_work_however_often_it_comes(
    folder: Path, repeated: int
) -> None:
    with interruptible():
        process = subprocess.Popen(
            command("gated"), cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    with process:
        assert process.stderr is not None
        wait_for_starts(folder)
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline() == "3 in work; Ctrl-C to cancel them\n"
        for _ in range(repeated - 1):
            process.send_signal(signal.SIGTERM)
        (folder / "gate").touch()
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert rest.startswith("terminated\n3 results: 3 succeeded, 0 failed, in ")
    assert read_results(folder) == ["ITEM 0", "ITEM 1", "ITEM 2"]


def test_ctrl_c_cancels_what_sigterm_has_left_in_work(folder: Path) -> None:
    with interruptible():
        process = subprocess.Popen(command("gated"), cwd=folder, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        wait_for_starts(folder)
        process.send_signal(signal.SIGTERM)
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert rest.startswith("terminated\n0 results: ")
    assert len(read_notes(folder, "ended")) == LANES


def test_a_signal_that_is_ignored_by_the_shell_stays_ignored(folder: Path) -> None:
    inherited = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command("gated"), cwd=folder, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, inherited)
    with process:
        wait_for_starts(folder)
        process.send_signal(signal.SIGINT)
        (folder / "gate").touch()
        assert process.wait(PATIENCE) == 0
    assert len(read_results(folder)) == INPUTS
