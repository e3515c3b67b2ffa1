"""What must come of a source that is read to its end."""

from __future__ import annotations

from .acts import RAISING
from .case import Act, Source


def source_error(source: Source) -> str | None:
    """Name the way in which a source fails, if it does."""
    failing = _failing_act(source)
    if failing is None:
        return None
    act = failing[1]
    return "ExceptionGroup" if act.kind == "fail_in_group" else act.error or act.kind


def items_of(source: Source) -> int | None:
    """Count the items before the end or the error of a source; None where it has no end."""
    failing = _failing_act(source)
    return source.length if failing is None else failing[0]


def _failing_act(source: Source) -> tuple[int, Act] | None:
    for position, act in sorted(source.acts, key=lambda pair: pair[0]):
        if position < 0 or (source.length is not None and position > source.length):
            continue
        if act.kind in (*RAISING, "cancel_itself_and_raise"):
            return position, act
    at_end = dict(source.acts).get(-1, Act())
    if source.kind == "async_generator" and source.length is not None and at_end.error:
        # Its `finally` block runs within the pull that finds the end.
        return source.length, at_end
    return None
