"""Whether every input of a batch is accounted for exactly once."""

from __future__ import annotations

from nadoo_flow import BatchResult, BatchResults, NodeError

from .act_model import Verdict
from .answers import is_sound
from .case import Batch, Case, Leaf
from .endings import End
from .facts import TO_THE_END, ends_by_itself, given_inputs
from .ledger import Ledger
from .model import fate
from .overriding import is_marked
from .source_model import items_of, source_error


def check_batch(case: Case, batch: Batch, end: End, ledger: Ledger) -> None:
    """Check the results, their indexes and the end of a batch."""
    results: list[BatchResult] = ledger.received
    indexes = [result.index for result in results]
    if len(set(indexes)) != len(indexes):
        ledger.find("an input has more than one result")
    for result in results:
        if result.input_data != result.index:
            ledger.find("a result has the index of another input")
        # A timeout that comes after the end of the run has nothing to say any more.
        is_cut = case.ending.timeout is not None and "swallow" in repr(batch.work)
        _check_result(batch, result, ledger, is_cut=is_cut)
    if isinstance(end.value, BatchResults):
        _check_views(end.value, ledger)
    if case.way in ("batch", "batch_in_chunks") and indexes != sorted(indexes):
        ledger.find("results are not in input order")
    given = given_inputs(case, ledger)
    if not set(indexes) <= set(given):
        ledger.find("a result has no input")
    to_the_end = case.ending.kind in TO_THE_END and not ledger.closed_from_inside
    if not to_the_end or ledger.fatal:
        return
    verdicts = {number: fate(batch.work, number).verdict for number in given}
    if Verdict.EITHER not in verdicts.values() and not batch.continue_on_error:
        _check_first_failure(verdicts, end, ledger)
    if isinstance(end.error, NodeError):
        _check_blame(batch, verdicts, end.error, ledger)
        _check_silence_after_failure(batch, end.error, ledger)
        return
    failed = source_error(case.source)
    if (failed is None) != (end.kind == "completed") and not ends_by_itself(case, failed):
        ledger.find(f"the source's end is {failed or 'regular'}, that of the run {end.error!r}")
    if case.way == "batch" and end.kind != "completed":
        return
    if set(indexes) != set(given):
        lost = sorted(set(given) - set(indexes))
        ledger.find(f"inputs without a result: {lost}")
    items = items_of(case.source)
    if items is not None and len(given) != items:
        ledger.find(f"{len(given)} inputs were pulled, the source has {items}")


def _check_result(batch: Batch, result: BatchResult, ledger: Ledger, *, is_cut: bool) -> None:
    if not is_sound(result):
        ledger.find(f"a result is not sound: {vars(result)}")
        return
    verdict = fate(batch.work, result.index).verdict
    if verdict is Verdict.SUCCESS and not result.success:
        ledger.find(f"an item failed that should not: {result.error}")
    if verdict is Verdict.FAILURE and result.success and not is_cut:
        ledger.find("an item succeeded that should fail")
    if result.success and result.output != result.input_data:
        ledger.find(f"an item has the output of another one: {result.output!r}")
    if bool(batch.own_single) != is_marked(result) and result.success:
        ledger.find("an override of process_single was not used")


def _check_views(results: BatchResults, ledger: Ledger) -> None:
    try:
        summary = results.summary()
        failed = len(results.failed)
        if (summary.total, summary.failed) != (len(results), failed):
            ledger.find(f"a summary of {len(results)} results, {failed} failed, says {summary}")
        for view in (summary, repr(results), results._repr_html_()):
            str(view)
    except Exception as error:
        ledger.find(f"the results cannot be looked at: {error!r}")


def _check_first_failure(verdicts: dict[int, Verdict], end: End, ledger: Ledger) -> None:
    fails = Verdict.FAILURE in verdicts.values()
    if fails != isinstance(end.error, NodeError):
        ledger.find(f"{'a' if fails else 'no'} item fails, and the run ends with {end.error!r}")


def _check_blame(
    batch: Batch, verdicts: dict[int, Verdict], error: NodeError, ledger: Ledger
) -> None:
    if batch.continue_on_error:
        ledger.find(f"a batch that goes on ended with {error!r}")
    elif error.index is None or verdicts.get(error.index) is Verdict.SUCCESS:
        ledger.find(f"the error blames item {error.index}")


def _check_silence_after_failure(batch: Batch, error: NodeError, ledger: Ledger) -> None:
    """Check that nothing starts after a failure; only a leaf's end is that of its item."""
    if not isinstance(batch.work, Leaf) or batch.letters == "async":  # which takes its time
        return
    ended = [one.ended for one in ledger.executions if one.key == error.index]
    # What starts in the same turn of the loop may have blocked it for a moment.
    late = [one.key for one in ledger.executions if ended and one.began > (ended[0] or 0) + 0.05]
    if late:
        ledger.find(f"items {late} started after the first failure")
