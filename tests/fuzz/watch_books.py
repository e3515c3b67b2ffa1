"""Whether events tell what has happened."""

from __future__ import annotations

from .case import Batch, Case
from .ledger import Ledger
from .watching import Watchers


def check_watchers(case: Case, ledger: Ledger, watchers: Watchers) -> None:
    """Check that all that began has ended, and that events say the same as results."""
    if watchers.trace is not None:
        watchers.trace.check_kept()
        watchers.trace.check_end()
    for notes in watchers.observers:
        notes.check_end()
    all_notes = watchers.notes_of_all()
    if any(notes.events != all_notes[0].events for notes in all_notes):
        ledger.find("a trace and an observer of events have not seen the same")
    for notes in all_notes:
        if isinstance(case.what, Batch):
            kinds = notes.kinds(0)
            for result in ledger.received:
                right = "finished" if result.success else "failed"
                if kinds.get(result.index) != right:
                    ledger.find(f"item {result.index} is told to be {kinds.get(result.index)}")
            continue
        failed = sum(event.kind == "failed" for event in notes.events)
        for result in ledger.results:
            if result.success and len(result.metadata["errors"]) != failed:
                ledger.find(f"{result.metadata['errors']} failed, {failed} are told to have failed")
