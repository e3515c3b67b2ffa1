"""How the runs of one batch ended: by a limit or not, and what they have left."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..results.stopped import Stopped
from ..streams import Subscription

if TYPE_CHECKING:
    from .limits import LimitedRun


class Outcome:
    """The end of the runs of one batch, of which there is one unless a subclass makes more.

    Args:
        owner: The processor.
        inputs: The inputs of the batch, which may have a length.
    """

    def __init__(self, owner: object, inputs: object) -> None:
        self._inputs = inputs
        self._runs: list[tuple[Subscription, LimitedRun | None]] = []
        self._around = _find_around(owner)
        self._owner = owner

    def add(self, run: Subscription, limited: LimitedRun | None) -> None:
        """Note a run that begins, and what watches its limits."""
        self._runs.append((run, limited))
        if self._around is not None:
            self._around.add(run, limited)

    @property
    def stopped(self) -> Stopped | None:
        """The limit that ended a run, if one did."""
        for _, limited in self._runs:
            if limited is not None and limited.stopped is not None:
                return limited.stopped
        return None

    @property
    def not_started(self) -> int | None:
        """How many inputs have not been started; None if their number is not known."""
        if not isinstance(self._inputs, Sized):
            return None
        try:
            total = len(self._inputs)
        except Exception:  # inputs whose len() raises may still be iterated
            return None
        started = sum(run.pulled - run.draining.not_started for run, _ in self._runs)
        return max(total - started, 0)

    @contextmanager
    def include_inner(self) -> Iterator[None]:
        """Have the runs count that the same processor begins inside the block."""
        token = _around.set(self)
        try:
            yield
        finally:
            _around.reset(token)


def _find_around(owner: object) -> Outcome | None:
    around = _around.get()
    return around if around is not None and around._owner is owner else None


_around: ContextVar[Outcome | None] = ContextVar("nadoo_flow_outcome", default=None)
