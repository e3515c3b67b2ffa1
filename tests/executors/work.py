"""What workers do for the tests: each worker that starts imports this, so it imports little."""

from __future__ import annotations

import os
import sys
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


def name_span(_: object) -> tuple[str, str, bool]:
    """Return the ids of the current span, and whether it is sampled."""
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    return (
        trace.format_trace_id(current.trace_id),
        trace.format_span_id(current.span_id),
        current.trace_flags.sampled,
    )


def list_telemetry(_: object) -> list[str]:
    """Return which modules of the telemetry a worker has imported."""
    names = ("opentelemetry", "nadoo_flow.telemetry")
    return [name for name in sys.modules if name.startswith(names)]
