"""The keys of items, found by a user's function, so that whatever it does fails one item."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from typing_extensions import override

from .._support.checks import describe_value
from ..errors import describe_error
from ..streams import Indexed, Keys, Work, WrappedWork
from .context import BARE, unwrap_item

R = TypeVar("R")

PLAIN = frozenset({str, int, bytes, bool, type(None)})
"""Types of keys that are certainly equal to themselves, hashable, and nothing to await."""


class ItemKeys(Keys[Indexed[Any]]):
    """Calls a function for the key of each item.

    If that fails, the item waits for no other one, and the work on it raises the error.

    Args:
        function: Gets what a function as a node would get of the item.
    """

    def __init__(self, function: Callable[[Any], Hashable]) -> None:
        self._function = function
        # By the identities of the items, which keep theirs because they are kept too.
        self._errors: dict[int, tuple[Indexed[Any], BaseException]] = {}

    @override
    def get_key(self, item: Indexed[Any]) -> Hashable:
        value = item[1]
        try:
            key = self._function(value if type(value) in BARE else unwrap_item(value))
            fault = None if type(key) in PLAIN else find_key_fault(key)
        except BaseException as error:
            trace = error.__traceback__
            self.note_failure(item, error.with_traceback(trace and trace.tb_next))
            return object()
        if fault is None:
            return key
        refusal = f"key must return {fault}, got {describe_value(key)} for {describe_value(value)}"
        self._errors[id(item)] = item, TypeError(refusal)
        return object()

    def note_failure(self, item: Indexed[Any], error: BaseException) -> None:
        """Have the work on an item raise an error."""
        if isinstance(error, (Exception, asyncio.CancelledError, GeneratorExit)):
            failure = RuntimeError(
                f"key raised {describe_error(error)} for {describe_value(item[1])}"
            )
            failure.__cause__ = error
            error = failure
        self._errors[id(item)] = item, error

    def raise_failure(self, item: Indexed[Any]) -> None:
        """Raise the error of an item that has no key."""
        if id(item) in self._errors:
            raise self._errors.pop(id(item))[1]

    def check_before(self, work: Work[Indexed[Any], R]) -> Work[Indexed[Any], R]:
        """Return work that fails on an item that has no key."""
        return _CheckedWork(self, work)


class _CheckedWork(WrappedWork[Indexed[Any], R]):
    """Does the work on an item if that has a key."""

    def __init__(self, keys: ItemKeys, work: Work[Indexed[Any], R]) -> None:
        super().__init__(work)
        self._errors = keys._errors
        self._raise_failure = keys.raise_failure

    def start(self, item: Indexed[Any], started: float) -> Any:
        if self._errors:
            self._raise_failure(item)
        return self._start(item, started)


def find_key_fault(key: Any) -> str | None:
    """Say what a key function must return, if this is something else."""
    if isinstance(key, Awaitable):
        if inspect.iscoroutine(key):
            key.close()
        return "the key itself and not an awaitable"
    try:
        hash(key)
    except TypeError:
        return "a hashable value"
    # Such as NaN, which would be in order or not by chance.
    return None if key == key else "a value that is equal to itself"
