"""Runs one case in a loop of its own, and says what was not as it should be."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import time
import warnings
from typing import Any

from nadoo_flow.testing import DeadlockError

from .accounting import check_end, check_items
from .case import Batch, Case
from .checkpoint_books import case_of_second_run, check_checkpoint
from .checkpoints import MemoryCheckpoint
from .ledger import Ledger
from .loop import FuzzLoop
from .memory_steps import MemorySteps
from .nodes import Builder
from .policy_books import check_policies
from .refusals import findings_in_composing
from .sources import Inputs
from .threads import findings_in_threads
from .watch_books import check_watchers
from .watching import Watchers
from .ways import Kept, consumed

_CANCELLING = ("timeout", "each", "hedge", "cancel_itself_and_return")


def findings_of(case: Case) -> list[str]:
    """Run a case, and return what was found."""
    if case.mistake is not None:
        return findings_in_composing(case)
    if case.way == "threads":
        return findings_in_threads(case)
    if case.disk is None:
        return _findings_in_loop(case)
    checkpoint: Kept
    if isinstance(case.what, Batch):
        checkpoint = MemoryCheckpoint(case.disk)
    else:
        checkpoint = MemorySteps(case.disk, case.what)
    return _findings_in_loop(case, checkpoint) or _findings_in_loop(
        case_of_second_run(case), checkpoint
    )


def _findings_in_loop(case: Case, checkpoint: Kept | None = None) -> list[str]:
    work = repr(case.what)
    cancels = sum(work.count(f"kind={kind!r}") for kind in _CANCELLING)
    ledger = Ledger(several_cancels=cancels > 1)
    threads = threading.active_count()
    told: list[str] = []
    # Stages log every item that they go on without.
    log = logging.getLogger("nadoo_flow")
    level = log.level
    log.setLevel(logging.ERROR)
    hook, sys.unraisablehook = sys.unraisablehook, lambda problem: told.append(repr(problem))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        loop = FuzzLoop(ledger, 0.0 if case.disk is None else case.disk.seconds)
        asyncio.set_event_loop(None)
        try:
            _run(case, ledger, loop, checkpoint)
        finally:
            if not ledger.findings:
                gc.collect()
            _close(loop, broken=bool(ledger.findings))
            gc.collect()
            sys.unraisablehook = hook
            log.setLevel(level)
    if not ledger.findings:
        _check_rest(case, ledger, told, [str(warning.message) for warning in warned])
        if _outlives_its_run(threads):
            ledger.find("a thread is left")
    return ledger.findings


def _outlives_its_run(threads: int) -> bool:
    """Return whether more threads are left than there were; one that ends may take a moment."""
    patience = time.monotonic() + 1
    while threading.active_count() > threads and time.monotonic() < patience:
        time.sleep(0.001)
    return threading.active_count() > threads


def _run(case: Case, ledger: Ledger, loop: FuzzLoop, checkpoint: Kept | None) -> None:
    if case.eager and sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    try:
        loop.run_until_complete(_main(case, ledger, checkpoint))
    except DeadlockError as error:
        ledger.find(f"hangs: {error}")
    except BaseException as error:
        if type(error) is KeyboardInterrupt:
            raise
        ledger.find(f"{type(error).__name__} tore the loop down")


def _close(loop: FuzzLoop, broken: bool) -> None:
    if broken:
        # What hangs is left as it is; it would only complain.
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.set_exception_handler(lambda *_: None)
    else:
        loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def _check_rest(case: Case, ledger: Ledger, told: list[str], warned: list[str]) -> None:
    for problem in told:
        ledger.find(f"raised where nothing can be raised: {problem}")
    for warning in warned:
        if not (case.ending.kind == "drop" and "dropped before its end" in warning):
            ledger.find(f"warned: {warning}")


async def _main(case: Case, ledger: Ledger, checkpoint: Kept | None) -> None:
    logged: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: logged.append(_forget_frames(context)))
    generators: list[Any] = []
    hooks = sys.get_asyncgen_hooks()

    def first(generator: Any) -> None:
        generators.append(generator)
        if hooks.firstiter is not None:
            hooks.firstiter(generator)

    if case.ending.kind != "drop":
        sys.set_asyncgen_hooks(firstiter=first)
    inputs = Inputs(case.source, ledger)
    builder, watchers = Builder(ledger), Watchers(case.watches, ledger)
    if checkpoint is not None:
        checkpoint.begin(ledger)
    try:
        end = await consumed(case, ledger, builder, inputs, watchers, checkpoint)
    finally:
        sys.set_asyncgen_hooks(*hooks)
    if end.joined:
        _check_tasks(ledger, inputs, "has returned")
    ledger.ask_to_end()
    await _until_only_the_caller_runs(inputs)
    await inputs.leave()
    if any(generator.ag_frame is not None for generator in generators):
        ledger.find("an async generator is left open")
    generators.clear()
    check_end(case, end, ledger)
    check_items(case, end, ledger)
    check_checkpoint(case, end, ledger, watchers, checkpoint)
    check_watchers(case, ledger, watchers)
    if isinstance(case.what, Batch):
        builder.letters.check(case, case.what, end)
    check_policies(case, ledger, builder.later.changes)
    for shared in builder.limits.values():
        if shared.in_use:
            ledger.find("a permit of a limit was not given back")
    del end, builder, watchers
    gc.collect()
    await asyncio.sleep(0)
    _check_log(ledger, logged)


def _forget_frames(context: dict[str, Any]) -> dict[str, Any]:
    """Drop the traceback of what was logged, which would keep an iterator that is to be dropped."""
    error = context.get("exception")
    if error is not None:
        error.__traceback__ = None
    return context


async def _until_only_the_caller_runs(inputs: Inputs) -> None:
    # What is not joined ends by itself; the loop gives up if it does not. Between the last task of
    # a run and the one that closes its sources there are turns without a task.
    calm = 0
    while calm < 5:
        busy = asyncio.all_tasks() - {asyncio.current_task(), *inputs.tasks}
        calm = 0 if busy else calm + 1
        if busy:
            gc.collect()
        await asyncio.sleep(0.25 if busy else 0)


def _check_tasks(ledger: Ledger, inputs: Inputs, when: str) -> None:
    left = asyncio.all_tasks() - {asyncio.current_task(), *inputs.tasks}
    for task in left:
        name = getattr(task.get_coro(), "__qualname__", "?")
        ledger.find(f"a task is left when it {when}: {name}")


def _check_log(ledger: Ledger, logged: list[dict[str, Any]]) -> None:
    for context in logged:
        error = context.get("exception")
        cause = getattr(error, "__cause__", None)
        planned = (*ledger.closing, *ledger.fatal)
        if any(one is error or one is cause for one in planned):
            continue
        ledger.find(f"logged: {context['message']}: {error!r}")
