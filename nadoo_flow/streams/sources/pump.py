"""The pump of a source: it emits within the demand of a run and the budget of the loop's turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar, cast

from reactivex import abc

from ..._support.functions import do_nothing
from ..._support.report_error import warn_of_blocking
from ..direct import Indexed
from ..draining import DrainPart
from ..subscription import Subscription
from ..turn import HELD

T = TypeVar("T")


class NothingYet(Exception):
    """The source is alive and has no item at the moment."""


class SourceFailed(Exception):
    """The source ended with an error, which may be of any kind, also a StopIteration."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Pump(DrainPart, Generic[T]):
    """Pulls items and emits them with their indexes while the run has demand.

    Args:
        run: The run to emit in.
        open_source: Called at the first pull. Its iterator raises NothingYet if it has no item at
            the moment, and :meth:`pump` is then to be called when it has one. SourceFailed, or any
            other exception, is the error of the source.
        observer: Receives the items and the end.
    """

    _has_warned = False

    def __init__(
        self,
        run: Subscription,
        open_source: Callable[[], Iterator[T]],
        observer: abc.ObserverBase[Indexed[T]],
    ) -> None:
        self._run = run
        self._open_source = open_source
        self._inputs: Iterator[Indexed[T]] | None = None
        self._observer = observer
        self._context = run.context.copy()
        self._stopped = False
        self._has_ended = False
        self._known_gaps = run.turn.gaps

    def stop(self) -> None:
        """Emit nothing more, and no end either."""
        self._stopped = self._has_ended = True

    def stop_starting(self) -> None:
        """Pull nothing more."""
        self._stopped = self._run.source_ended = True

    def settle_unstarted(self) -> None:
        """Emit the end."""
        self.end()

    def end(self, error: BaseException | None = None) -> None:
        """Emit the end of the source, unless that was done."""
        if self._has_ended:
            return
        self.stop()
        self._run.source_ended = True
        if error is None:
            self._context.run(self._observer.on_completed)
        else:
            self._context.run(self._observer.on_error, as_source_error(error))

    async def close(self, generator: Generator[object, object, object]) -> None:
        """Close a generator in the context in which it is iterated."""
        self._context.run(generator.close)

    def pump(self) -> None:
        """Emit while there is demand; stay registered for more unless the source has ended."""
        if self._stopped:
            return  # its end may be what makes demand
        # Not registered while it emits: an item that is settled at once makes demand that the loop
        # in _emit sees anyway, while a call of the pump inside itself would nest without bound.
        self._run.set_pump(do_nothing)
        try:
            waiting = self._context.run(self._emit)
        except BaseException as error:
            self._run.fail(error)
        else:
            if waiting:
                self._run.set_pump(self.pump)

    def _emit(self) -> bool:
        run, inputs, on_next = self._run, self._inputs, self._observer.on_next
        turn, time = run.turn, run.turn.time
        # Pulls are timed only once something may have held the loop, since that costs each item.
        pull = next if turn.gaps == self._known_gaps else self._pull_timed
        while run.outstanding < run.limit and not self._stopped:
            if time() >= turn.ends and turn.is_spent():
                turn.call_later(self.pump)
                return False
            try:
                if inputs is None:
                    inputs = self._inputs = enumerate(self._open_source())
                indexed = pull(inputs)
            except NothingYet:
                return True
            except StopIteration:
                self.stop()  # a call of the pump may be scheduled already
                run.source_ended = True
                self._observer.on_completed()
                return False
            except SourceFailed as failed:
                return self._fail(failed.error)
            except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                return self._fail(error)
            run.pulled += 1
            run.outstanding += 1
            on_next(indexed)
        return True

    def _pull_timed(self, inputs: Iterator[Indexed[T]]) -> Indexed[T]:
        """Pull the next item, and warn once of a source that blocks."""
        started = self._run.turn.time()
        indexed = next(inputs)
        seconds = self._run.turn.time() - started
        if seconds > HELD and not self._has_warned:
            self._has_warned = True
            warn_of_blocking(
                self._run.loop,
                f"the inputs held the event loop for {seconds:.2g} s to give item {indexed[0]}, in "
                "which nothing else could go on; iterate over them in an async generator that "
                "awaits what blocks, as by asyncio.to_thread()",
            )
        return indexed

    def _fail(self, error: BaseException) -> bool:
        self.stop()
        self._observer.on_error(as_source_error(error))
        return False


def as_source_error(error: BaseException) -> Exception:
    """Return the error to signal for a source, which must not look like a cancelled consumer."""
    if isinstance(error, asyncio.CancelledError):
        stray = RuntimeError(
            "the inputs raised a CancelledError, although the run was not cancelled"
        )
        stray.__cause__ = error
        return stray
    # Rx types errors as Exception, but passes on a GeneratorExit just as well.
    return cast(Exception, error)
