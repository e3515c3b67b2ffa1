"""What a policy is checked for: one function for each rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from ...batch import BatchProcessor
from ...nodes import BaseNode
from ...nodes.node import Policy
from ...results import BatchResults
from .policy_case import PolicyCase
from .policy_endings import cancel_and_check, check_silence
from .probe import Input, ProbeNode, make_answer
from .rules import BrokenRuleError
from .searching import run_in_loop

MakePolicy: TypeAlias = Callable[[], Policy]


def check_loops(make: MakePolicy) -> None:
    """Use one policy in two loops, one after the other.

    Raises:
        BrokenRuleError: If it works in the first only.
    """
    policy = make()
    inputs = make_sound_inputs(6, 0.1)
    succeeded: list[int] = []
    for _ in range(2):

        async def run() -> BatchResults:
            return await BatchProcessor(ProbeNode().pipe(policy), 3).batch(inputs)

        results = run_in_loop(run, "R20" if succeeded else "105", "A batch of 6 inputs")
        succeeded.append(len(results.outputs))
    if succeeded[1] < succeeded[0]:
        error = next(result.error for result in results if not result.success)
        raise BrokenRuleError(
            "R20",
            f"The policy was used in two event loops, one after the other. {succeeded[0]} of 6 "
            f"inputs succeeded in the first, {succeeded[1]} in the second: {error}",
        )


def check_results(make: MakePolicy, case: PolicyCase) -> None:
    """Run a batch to its end, and look at its results.

    Raises:
        BrokenRuleError: If it does not end, or an input has not the result that it should have.
    """

    async def run() -> BatchResults:
        probe = ProbeNode()
        return await BatchProcessor(probe.pipe(make()), case.max_concurrency).batch(case.inputs)

    results = run_in_loop(run, "105", case.describe())
    answers = {make_answer(given["number"]): given["number"] for given in case.inputs}
    is_sound = all(given["outcome"] == "answer" and not given["seconds"] for given in case.inputs)
    for given, result in zip(case.inputs, results, strict=True):
        number = given["number"]
        owner = answers.get(result.output, number) if isinstance(result.output, str) else number
        if owner != number:
            text = f"input {number} has the output of input {owner}."
        elif is_sound and not result.success:
            text = f"the node answered input {number} at once, and it failed: {result.error}."
        elif is_sound and result.output != make_answer(number):
            text = f"the node's answer to input {number} is lost; its output is {result.output!r}."
        else:
            continue
        raise BrokenRuleError("R2", f"{case.describe()} has a wrong result: {text}")


def check_concurrency(make: MakePolicy, case: PolicyCase, calls_at_once: int) -> None:
    """Run a batch, and look at how many calls ran at a time.

    Raises:
        BrokenRuleError: If there were more than allowed.
    """
    probe = ProbeNode()

    async def run() -> None:
        await BatchProcessor(probe.pipe(make()), case.max_concurrency).batch(case.inputs)

    run_in_loop(run, "105", case.describe())
    for most, allowed, of_what in (
        (probe.most_of_one, calls_at_once, "for one input"),
        (probe.peak, calls_at_once * case.max_concurrency, "in all"),
    ):
        if most > allowed:
            text = f"{case.describe()} called the node {most} times at once {of_what}"
            hint = "; give calls_at_once if that is meant to be" if of_what != "in all" else ""
            raise BrokenRuleError("R1", f"{text}, and {allowed} is the limit{hint}.")


def check_end(make: MakePolicy, case: PolicyCase) -> None:
    """Run a batch to its end, and look at what goes on behind it.

    Raises:
        BrokenRuleError: If anything does.
    """

    async def run() -> None:
        probe = ProbeNode()
        await BatchProcessor(probe.pipe(make()), case.max_concurrency).batch(case.inputs)
        await check_silence(probe, "313", f"{case.describe()} has ended, and")

    run_in_loop(run, "105", case.describe())


def check_cancel_of_batch(make: MakePolicy, case: PolicyCase) -> None:
    """Cancel a batch, and look at what is left.

    Raises:
        BrokenRuleError: If it does not end, or anything is left.
    """

    async def run() -> None:
        probe = ProbeNode()
        processor = BatchProcessor(probe.pipe(make()), case.max_concurrency)
        work = asyncio.create_task(processor.batch(case.inputs))
        await cancel_and_check(work, probe, case, case.describe())

    run_in_loop(run, "R4", case.describe())


def check_cancel_of_run(make: MakePolicy, case: PolicyCase) -> None:
    """Cancel the run of one input in the caller's own task.

    Raises:
        BrokenRuleError: If it swallows that, does not end, or anything is left.
    """
    given = case.inputs[0]
    situation = f"The run of one input ({given['outcome']} after {given['seconds']:g} s),"

    async def run() -> None:
        probe = ProbeNode()
        work = asyncio.create_task(probe.pipe(make()).run(given))
        await cancel_and_check(work, probe, case, situation)

    run_in_loop(run, "R4", situation)


def check_permits(make: MakePolicy, case: PolicyCase) -> None:
    """Cancel a batch, and run another through the same policy.

    Raises:
        BrokenRuleError: If that one does not get through, as it would in the place of the first.
    """

    async def run(is_first_cancelled: bool) -> int:
        node: BaseNode = ProbeNode().pipe(make())
        if is_first_cancelled:
            first = asyncio.create_task(BatchProcessor(node, 3).batch(make_sound_inputs(6, 0.1)))
            await asyncio.wait([first], timeout=case.cancel_at / 20)
            first.cancel()
            await asyncio.wait([first])
        return len((await BatchProcessor(node, 3).batch(make_sound_inputs(6, 0.1))).outputs)

    situation = "A batch of 6 inputs, through a policy through which another one was cancelled,"
    alone = run_in_loop(lambda: run(False), "105", "A batch of 6 inputs")
    behind = run_in_loop(lambda: run(True), "R3", situation)
    if behind < alone:
        raise BrokenRuleError("R3", f"{situation} has {behind} successes instead of {alone}.")


def check_contexts(make: MakePolicy, case: PolicyCase) -> None:
    """Run a batch whose node sets a context variable.

    Raises:
        BrokenRuleError: If an input sees what another has set.
    """
    probe = ProbeNode()

    async def run() -> None:
        await BatchProcessor(probe.pipe(make()), case.max_concurrency).batch(case.inputs)

    run_in_loop(run, "105", case.describe())
    if probe.mixed:
        one, other = probe.mixed[0]
        text = f"{case.describe()} let input {other} see a context variable that input {one} set."
        raise BrokenRuleError("R6", text)


def make_sound_inputs(length: int, seconds: float) -> list[Input]:
    """Make inputs that the node answers."""
    return [{"number": number, "seconds": seconds, "outcome": "answer"} for number in range(length)]
