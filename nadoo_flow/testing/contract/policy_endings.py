"""The end of what goes through a policy: what is left of it, and what comes all the same."""

from __future__ import annotations

import asyncio

from ..waiting_tasks import describe_task, describe_tasks
from .policy_case import PolicyCase
from .probe import ProbeNode
from .rules import BrokenRuleError
from .searching import PATIENCE

MOMENT = 1e-6
"""Seconds that are nothing but rounding."""


async def cancel_and_check(
    work: asyncio.Task[object], probe: ProbeNode, case: PolicyCase, situation: str
) -> None:
    """Cancel something at the time of a case, and check how it ends.

    Args:
        work: What goes through the policy.
        probe: The node that the policy is around.
        case: When it is cancelled. What has ended by then is not checked.
        situation: What it is, for the text of the error.

    Raises:
        BrokenRuleError: If it does not end as cancelled, or something is left or comes later.
    """
    await asyncio.wait([work], timeout=case.cancel_at)
    for _ in range(case.turns):
        await asyncio.sleep(0)
    if work.done():
        # Or the loop would log an error as one that nothing has looked at.
        _ = work.cancelled() or work.exception()
        return
    # What the policy itself has cancelled before may be cut off in its clean-up by a second cancel.
    cleaning = probe.cleaning
    cancelled = f"{situation} cancelled after {case.cancel_at:g} s,"
    loop = asyncio.get_running_loop()
    cancelled_at, is_at_work = loop.time(), bool(probe.running.total())
    work.cancel()
    await asyncio.wait([work], timeout=PATIENCE)
    if not work.done():
        text = f"{cancelled} has not ended {PATIENCE:g} s later: {describe_task(work)}"
        raise BrokenRuleError("R4", text)
    # What has its result and only needs another turn to hand it out may do so.
    is_late = is_at_work or loop.time() > cancelled_at + MOMENT
    given = None if work.cancelled() else work.exception() or work.result()
    if not work.cancelled() and is_late:
        raise BrokenRuleError("108", f"{cancelled} swallowed that, and gave {given!r}.")
    # What is called at the time of the cancel may not know of it yet.
    if any(call.time > cancelled_at + MOMENT for call in probe.calls):
        raise BrokenRuleError("108", f"{cancelled} called the node again afterwards.")
    await check_silence(probe, "R4", f"{cancelled} has ended, and", cleaning)


async def check_silence(probe: ProbeNode, rule: str, situation: str, interrupted: int = 0) -> None:
    """Check that nothing is left, and nothing comes any more.

    Args:
        probe: The node.
        rule: The rule that is broken if it is not so.
        situation: What has ended, for the text of the error.
        interrupted: How many calls may have been cut off in their clean-up.

    Raises:
        BrokenRuleError: If something is left or comes.
    """
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        text = "; ".join(describe_tasks(left))
        raise BrokenRuleError(rule, f"{situation} a task is left: {text}")
    if probe.running.total():
        raise BrokenRuleError(rule, f"{situation} a call of the node has not ended.")
    if probe.cleaning > interrupted:
        text = "a call of the node was broken off in its clean-up, as by a second cancel"
        raise BrokenRuleError(rule, f"{situation} {text}.")
    calls = len(probe.calls)
    await asyncio.sleep(PATIENCE)
    if len(probe.calls) > calls:
        raise BrokenRuleError(rule, f"{situation} the node was called again later.")
