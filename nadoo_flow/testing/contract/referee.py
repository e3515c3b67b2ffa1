"""Watching the signals of the operator of a stage itself, before Rx puts a guard around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc

from ...stages import ListStage
from ...stages.fusion import Items, Operator, StageRun
from .rules import BrokenRuleError


class Referee:
    """Notes the first rule on signals that a stage breaks.

    Attributes:
        broken: The error about it, if there is one.
    """

    def __init__(self) -> None:
        self.broken: BrokenRuleError | None = None

    def note(self, rule: str, text: str) -> None:
        """Note that a rule is broken."""
        self.broken = self.broken or BrokenRuleError(rule, text)

    def watch(self, stage: ListStage[Any, Any, Any]) -> None:
        """Watch what the operator of a stage emits, in all its runs from now on."""
        build = stage.operator

        def watched(stage_run: StageRun) -> Operator:
            operator = build(stage_run)
            return lambda items: _Watched(operator(items), self)

        # By this the library sees that no subclass overrides it.
        watched.__func__ = getattr(build, "__func__", None)  # type: ignore[attr-defined]
        stage.operator = watched  # type: ignore[method-assign]


class _Watched(Observable[Any]):
    def __init__(self, items: Items, referee: Referee) -> None:
        super().__init__(lambda observer, scheduler: self._connect(observer, scheduler))
        self._items = items
        self._referee = referee

    def _connect(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        return self._items._subscribe_core(_Observer(observer, self._referee), scheduler)


class _Observer(abc.ObserverBase[Any]):
    def __init__(self, observer: abc.ObserverBase[Any], referee: Referee) -> None:
        self._observer = observer
        self._referee = referee
        self._is_inside = False
        self._end = ""

    def on_next(self, value: Any) -> None:
        self._pass("an item", lambda: self._observer.on_next(value))

    def on_error(self, error: Exception) -> None:
        self._pass("an error", lambda: self._observer.on_error(error))
        self._end = "an error"

    def on_completed(self) -> None:
        if self._end == "its completion":
            self._referee.note("105", "The operator completed twice.")
        self._pass("its completion", self._observer.on_completed)
        self._end = "its completion"

    def _pass(self, what: str, signal: Callable[[], None]) -> None:
        if self._end:
            self._referee.note("107", f"The operator emitted {what} behind {self._end}.")
        if self._is_inside:
            self._referee.note("103", f"The operator emitted {what} inside of another signal.")
        self._is_inside = True
        try:
            signal()
        finally:
            self._is_inside = False
