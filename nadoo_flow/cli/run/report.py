"""The report of a run: a file to read afterwards, or to attach to a ticket."""

from __future__ import annotations

import argparse
import shlex
import signal
import time
from dataclasses import replace
from types import TracebackType

from ..._support.text import shorten
from ...errors import describe_error
from ...events import Event
from ...nodes.node import BaseNode
from ...results.batch_result import BatchResult
from ...results.digest import Digest
from ...tracing.trace import Trace
from ..console import CommandError
from .bad_line import BadLine
from .files import make_write_error, open_to_write
from .interrupts import NAMES
from .report_page import Section, render_page

MOST_EVENTS = 100_000
"""The latest events that are kept for the pictures."""

LONGEST_ERROR = 300
"""Characters of an error that are kept for the pictures."""


class ReportTrace(Trace):
    """A record of the latest events, which keeps only the beginning of an error."""

    def on_event(self, event: Event) -> None:
        """Record an event."""
        if event.error is not None and len(event.error) > LONGEST_ERROR:
            event = event._replace(error=shorten(event.error, LONGEST_ERROR))
        super().on_event(event)


class Report:
    """Collects what a report needs, in a bounded amount of memory; writes it when ``with`` ends.

    It is written however the run ends, once it has begun.

    Args:
        path: The file.
        name: The node, as the command names it.
        command: The command, as it was called.

    Attributes:
        trace: Records the run.
        ended_by: The signal that ended the run early, if one did.
    """

    def __init__(self, path: str, name: str, command: list[str]) -> None:
        self.trace = ReportTrace(MOST_EVENTS)
        self.ended_by: int | None = None
        self._path = path
        self._name = name
        self._command = command
        self._digest = Digest()
        self._node: BaseNode | None = None
        self._resumed = 0

    def begin(self, node: BaseNode) -> None:
        """Note what runs, and check that the file can be written before anything else is done.

        Raises:
            CommandError: If it cannot.
        """
        try:
            with open(self._path, "ab"):
                pass
        except OSError as error:
            raise make_write_error(self._path, error) from error
        self._node = node
        self._began = time.time()
        self._started = time.monotonic()

    def add(self, result: BatchResult) -> None:
        """Count a result."""
        if isinstance(bad := result.input_data, BadLine):
            result = replace(result, input_data=bad.text)
        if "resumed" in result.metadata:
            self._resumed += 1
        self._digest.add(result)

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._node is None:
            return
        try:
            with open_to_write(self._path) as file:
                file.write(self._render(self._node, exc))
        except (CommandError, OSError) as error:
            text = str(make_write_error(self._path, error) if isinstance(error, OSError) else error)
            # Only the last error is printed, and that of the run must not be lost.
            raise CommandError(f"{exc}; {text}" if isinstance(exc, CommandError) else text) from exc

    def _render(self, node: BaseNode, error: BaseException | None) -> str:
        from ...results.html import BINS, render_summary

        summary = self._digest.summarize(time.monotonic() - self._started)
        resumed = [f"{self._resumed:,} came from the checkpoint"] if self._resumed else []
        histogram = self._digest.latencies.make_histogram(BINS)
        counts = render_summary(summary, resumed, histogram, self._digest.failed_items)
        began = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self._began))
        lines = [
            f"{self._describe_end(error)}, began {began}",
            shlex.join(self._command),
        ]
        sections = [
            Section("Results", counts),
            Section("Nodes", _draw_nodes(node)),
            Section("Timeline", self.trace.timeline().svg, is_wide=True),
            Section("Marbles", self.trace.marbles().svg, is_wide=True),
        ]
        return render_page(f"Run of {self._name}", lines, sections)

    def _describe_end(self, error: BaseException | None) -> str:
        if self.ended_by is not None:
            return NAMES[signal.Signals(self.ended_by)]
        if error is not None:
            words = str(error) if isinstance(error, CommandError) else describe_error(error)
            return f"failed: {words}"
        return "completed"


def make_report(options: argparse.Namespace) -> Report | None:
    """Make the report that the options ask for, if they do."""
    return None if options.report is None else Report(options.report, options.node, options.command)


def _draw_nodes(node: BaseNode) -> str:
    try:
        return node._repr_svg_()
    except Exception:  # a node of the user's may draw itself
        return ""
