"""What must hold of the books when a case is over."""

from __future__ import annotations

from nadoo_flow import NodeError

from .batch_books import check_batch
from .case import Batch, Case
from .endings import End
from .expand_books import check_expansion
from .facts import TO_THE_END, subscribes_again
from .faults import Exit, Interrupt
from .key_books import check_keys
from .ledger import Ledger
from .limit_books import check_limits
from .many_books import check_many
from .source_model import source_error
from .stage_books import check_stages


def check_items(case: Case, end: End, ledger: Ledger) -> None:
    """Check that every input is accounted for exactly once."""
    if isinstance(case.what, Batch):
        check_batch(case, case.what, end, ledger)
    else:
        check_stages(case, case.what, end, ledger)
        if not case.is_second:  # or some outputs come from records
            check_many(case, case.what, end, ledger)
        check_expansion(case, case.what, ledger)
    check_limits(case, ledger)
    check_keys(case, ledger)


def check_end(case: Case, end: End, ledger: Ledger) -> None:
    """Check that everything that began has ended, and how the run ended."""
    if any(execution.ended is None for execution in ledger.executions):
        ledger.find("an execution was begun and never ended")
    if ledger.opened != ledger.closed:
        ledger.find("a source is left open")
    if (
        any(isinstance(error, (Interrupt, Exit)) for error in ledger.fatal)
        and end.kind == "completed"
        and not _may_hide(case)
    ):
        ledger.find("an interrupt was lost")
    if case.ending.kind in TO_THE_END and not ledger.closed_from_inside:
        if end.kind not in ("completed", "error"):
            ledger.find(f"it was {end.kind}, though nobody asked it to end")
        elif isinstance(end.error, BaseException) and _is_cancelled(end.error):
            ledger.find("a cancel came out of it that nobody asked for")
    elif end.kind == "error" and not _is_expected(case, end, ledger):
        ledger.find(f"it raised {end.error!r} when it was ended")


def _is_cancelled(error: BaseException) -> bool:
    return type(error).__name__ == "CancelledError"


def _is_expected(case: Case, end: End, ledger: Ledger) -> bool:
    """Tell whether an early ending may end with this error."""
    error = end.error
    if isinstance(error, (NodeError, *map(type, ledger.fatal))):
        return True
    if isinstance(error, TimeoutError) and case.ending.kind == "timeout":
        return True
    closed = isinstance(error, RuntimeError) and (
        "closed" in str(error) or "from inside" in str(error)
    )
    if closed and (ledger.closed_from_inside or case.ending.kind == "aclose_elsewhere"):
        return True
    if subscribes_again(case) and isinstance(error, RuntimeError):
        return True
    return source_error(case.source) is not None


def _may_hide(case: Case) -> bool:
    """Tell whether an interrupt may come after the end, out of what nobody waits for."""
    return case.ending.kind not in TO_THE_END
