"""What workers do for the tests: each worker that starts imports this, so it imports little."""

from __future__ import annotations

import os
import time
from pathlib import Path


def name_worker(number: int) -> tuple[int, int]:
    """Take a moment, and return the number and the id of the process."""
    time.sleep(0.002)
    return number, os.getpid()


def die_at_13(number: int) -> int:
    """Take a moment, or the process with it."""
    if number == 13:
        os._exit(1)
    time.sleep(0.002)
    return number


def rest(number: int) -> int:
    """Take longer than anything else here."""
    time.sleep(0.01)
    return number


def note(file: Path, number: int) -> int:
    """Rest, and leave a byte in the file."""
    with file.open("ab") as notes:
        notes.write(b"x")
    return rest(number)
