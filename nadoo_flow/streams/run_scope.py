"""The runs that the current code is part of, directly or through tasks, timers and threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import Context, ContextVar
from weakref import ReferenceType, ref


class RunScope:
    """A run as the code inside it sees it.

    Inside is what runs in the context that was entered, or in a copy of it. Tasks, timers and
    threads get such a copy when they are started.

    Attributes:
        finished: Whether it has ended, so that nothing is inside it any more.
    """

    finished: bool

    def enter_in(self, context: Context) -> None:
        """Have all code that runs in a context be inside.

        Args:
            context: The context.
        """
        context.run(_scopes.set, (ref(self), *_select_live(_scopes.get())))

    def is_around_caller(self) -> bool:
        """Return whether the caller is called by a node or source of this run, also indirectly."""
        return any(scope() is self for scope in _scopes.get())


def find_scopes() -> list[RunScope]:
    """Return the runs around the caller that have not ended, the innermost first."""
    scopes = (reference() for reference in _select_live(_scopes.get()))
    return [scope for scope in scopes if scope is not None]


# Weak, because a run holds the context in which this is set.
_scopes: ContextVar[tuple[ReferenceType[RunScope], ...]] = ContextVar(
    "nadoo_flow_enclosing_runs", default=()
)


def _select_live(
    references: tuple[ReferenceType[RunScope], ...],
) -> Iterator[ReferenceType[RunScope]]:
    for reference in references:
        scope = reference()
        if scope is not None and not scope.finished:
            yield reference
