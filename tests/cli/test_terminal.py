"""What ``nadoo-flow run`` shows on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.one_python]


def run_on_terminal(folder: Path, *options: str) -> str:
    """Run the command, and return what its terminal shows."""
    keyboard, screen = pty.openpty()
    termios.tcsetwinsize(screen, (24, 80))
    command = [sys.executable, "-m", "nadoo_flow", "run", "builtins:len", "in.txt", *options]
    with subprocess.Popen(command, cwd=folder, stdin=screen, stdout=screen, stderr=screen):
        os.close(screen)
        shown = b""
        try:
            while read := os.read(keyboard, 4096):
                shown += read
        except OSError:  # the process has closed its side
            pass
    os.close(keyboard)
    return shown.decode()


@pytest.mark.parametrize(
    ("options", "has_bar"), [((), False), (("-o", "out.jsonl"), True), (("--progress",), True)]
)
def test_a_bar_does_not_stand_among_results(
    options: tuple[str, ...], has_bar: bool, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("a\nbb\n")
    shown = run_on_terminal(tmp_path, *options)
    assert "2 results: 2 succeeded" in shown
    assert ("it/s" in shown) == has_bar
    assert ('"output": 2' in shown) == ("-o" not in options)
