"""A case in which a policy is checked."""

from __future__ import annotations

from typing import NamedTuple

from .probe import Input


class PolicyCase(NamedTuple):
    """A batch through a policy.

    Attributes:
        inputs: What goes through it.
        max_concurrency: How many at a time.
        cancel_at: Virtual seconds after which it is cancelled, where that is done.
        turns: How many turns of the loop later.
    """

    inputs: list[Input]
    max_concurrency: int
    cancel_at: float
    turns: int

    def describe(self) -> str:
        """Describe it in words."""
        inputs = ", ".join(
            f"{given['outcome']} after {given['seconds']:g} s" for given in self.inputs
        )
        return f"A batch of {len(self.inputs)} inputs ({inputs}), {self.max_concurrency} at a time,"
