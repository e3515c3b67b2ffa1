"""The time in which outputs are made, without that in which they wait until they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..nodes.many import ManyInput
from ..streams import AroundOutputs, Hold, Outlet, Outputs, are_async


class Stopwatch:
    """Measures the time of the work on an item; it runs from the beginning.

    Args:
        time: The clock.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._since: float | None = time()
        self._seconds = 0.0

    def start(self) -> None:
        """Go on."""
        self._since = self._time()

    def stop(self) -> None:
        """Pause."""
        self._seconds = self.read()
        self._since = None

    def note_output(self) -> None:
        """Take an output into account, when the watch has been stopped; it may raise."""

    def read(self) -> float:
        """Return the seconds in which it has run."""
        return self._seconds + (0.0 if self._since is None else self._time() - self._since)


def watch_outputs(many_input: ManyInput, watch: Stopwatch) -> ManyInput:
    """Return an input during whose outputs a watch is stopped while they wait for demand."""
    return ManyInput(many_input.value, _WatchedOutlet(many_input.outlet, watch))


class _WatchedOutlet:
    def __init__(self, outlet: Outlet, watch: Stopwatch) -> None:
        self._outlet = outlet
        self._watch = watch

    @property
    def outputs(self) -> int:
        return self._outlet.outputs

    @property
    def holds(self) -> list[Hold]:
        return self._outlet.holds

    async def pull(self, outputs: Outputs[Any]) -> None:
        kind = _WatchedAsyncOutputs if are_async(outputs) else _WatchedOutputs
        self._watch.stop()
        try:
            await self._outlet.pull(kind(outputs, self._watch))
        finally:
            self._watch.start()


class _Watched(AroundOutputs[Any]):
    def __init__(self, outputs: Outputs[Any], watch: Stopwatch) -> None:
        super().__init__(outputs)
        self._watch = watch


class _WatchedOutputs(_Watched):
    def __iter__(self) -> _WatchedOutputs:
        return self

    def __next__(self) -> Any:
        self._watch.start()
        try:
            output = next(self._outputs)
        finally:
            self._watch.stop()
        self._watch.note_output()
        return output


class _WatchedAsyncOutputs(_Watched):
    def __aiter__(self) -> _WatchedAsyncOutputs:
        return self

    async def __anext__(self) -> Any:
        self._watch.start()
        try:
            output = await anext(self._outputs)
        finally:
            self._watch.stop()
        self._watch.note_output()
        return output
