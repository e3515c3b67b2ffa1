"""The progress of the demo."""

from __future__ import annotations

import io

from nadoo_flow.cli.demo.progress_line import ProgressLine


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown_progress(stream: io.StringIO, times: list[float]) -> str:
    """Advance once at each of the times, of four thousand items."""
    clock = iter([0.0, *times])
    with ProgressLine(4000, "documents", stream, lambda: next(clock)) as progress:
        for _ in times:
            progress.advance()
    return stream.getvalue()


def test_on_a_terminal_progress_rewrites_one_line_and_clears_it_in_the_end() -> None:
    assert shown_progress(Screen(), [0.05, 0.125, 0.2, 0.25]) == (
        "\r2 of 4,000 documents\x1b[K\r4 of 4,000 documents\x1b[K\r\x1b[K"
    )


def test_elsewhere_progress_is_a_few_plain_lines() -> None:
    assert shown_progress(io.StringIO(), [1.9, 2, 3.9, 4, 4.1]) == (
        "2 of 4,000 documents\n4 of 4,000 documents\n"
    )
