"""What waits for the disk."""

from __future__ import annotations

import asyncio

from .steps import StepRecord


class Request:
    """What a lane waits for, or an output.

    Attributes:
        answer: What was found.
        is_done: Whether the answer is there.
        waiter: Wakes the lane.
    """

    def __init__(self) -> None:
        self.answer: list[StepRecord] = []
        self.is_done = False
        self.waiter: asyncio.Future[None] | None = None

    def finish(self, answer: list[StepRecord]) -> None:
        """Give the answer, and wake the lane.

        Args:
            answer: The records that were found; none for what was written.
        """
        self.answer, self.is_done = answer, True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
