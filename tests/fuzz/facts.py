"""What a case says of itself, as far as the books need it."""

from __future__ import annotations

from .case import Batch, Case
from .ledger import Ledger
from .rx_operators import RESUBSCRIBING
from .source_model import source_error

TO_THE_END = ("to_end", "impatient")
"""Endings that leave the run to itself."""


def subscribes_again(case: Case) -> bool:
    """Tell whether an operator subscribes again, which an iterator as a source does not allow."""
    stages = () if isinstance(case.what, Batch) else case.what
    return any(name in RESUBSCRIBING for stage in stages for name in stage.operators)


def given_inputs(case: Case, ledger: Ledger) -> list[int]:
    """Return the inputs that the run was given."""
    if case.source.kind in ("list", "cold"):
        return list(range(case.source.length or 0))
    return ledger.pulled


def ends_by_itself(case: Case, failed: str | None) -> bool:
    """Tell whether an exception is how such a source says that it has ended."""
    return (case.source.kind, failed) in (
        ("iterator", "StopIteration"),
        ("iterable", "StopIteration"),
        ("async_iterator", "StopAsyncIteration"),
        ("async_closeable", "StopAsyncIteration"),
    )


def source_failure(case: Case) -> str | None:
    """Name the way in which the source fails, if that is no regular end."""
    failed = source_error(case.source)
    return None if ends_by_itself(case, failed) else failed
