"""Exceptions on their way back from a worker: the same again, or as much of it as can cross."""

from __future__ import annotations

from collections.abc import Callable
from pickle import PicklingError, UnpicklingError
from traceback import format_exception
from typing import Any, TypeAlias

from ..errors import describe
from .errors import RemoteError, RemoteTraceback
from .wire import pack, unpack

Packed: TypeAlias = tuple[bytes, str]
"""An exception, and its traceback as text."""


def pack_exception(error: BaseException) -> Packed:
    """Make bytes of an exception that are sure to give an exception again.

    Many classes pickle well and fail when they are unpickled, because their ``__init__`` takes
    other arguments than it gives to ``args``; others hold what cannot be pickled. What comes back
    is the first of these that tells the same type and message: the exception itself; one of its
    class, made without ``__init__``, with what can be pickled of its arguments and attributes; a
    :class:`RemoteError` with those attributes.
    """
    traceback = "".join(format_exception(error))
    for portable in (lambda: error, lambda: _Remade(type(error), error)):
        data = _crossing(portable, error)
        if data is not None:
            return data, traceback
    stand_in = _Remade(RemoteError, error, (describe(error),))
    return pack(stand_in, "a RemoteError"), traceback


def unpack_exception(packed: Packed, error: str) -> BaseException:
    """Make an exception of bytes, with the traceback of the worker as its cause.

    Args:
        packed: The exception.
        error: Its description, for the case that it cannot be unpickled here.
    """
    data, traceback = packed
    try:
        exception: BaseException = unpack(data, "the exception")
    except UnpicklingError:
        exception = RemoteError(error)
    exception.__cause__ = RemoteTraceback(traceback)
    return exception


def _crossing(portable: Callable[[], object], error: BaseException) -> bytes | None:
    try:
        data = pack(portable(), "an exception")
        back = unpack(data, "an exception")
    except (PicklingError, UnpicklingError):
        return None
    same = type(back) is type(error) and describe(back) == describe(error)
    return data if same else None


class _Remade:
    """Is unpickled as an exception that is made without its ``__init__``."""

    def __init__(
        self, kind: type[BaseException], error: BaseException, args: tuple[Any, ...] | None = None
    ) -> None:
        self._kind = kind
        self._args = tuple(map(_argument, error.args)) if args is None else args
        self._attributes = {name: value for name, value in vars(error).items() if _crosses(value)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._kind, self._args, self._attributes)


def _make(
    kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]
) -> BaseException:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


def _argument(value: Any) -> Any:
    return value if _crosses(value) else str(value)


def _crosses(value: Any) -> bool:
    try:
        unpack(pack(value, ""), "")
    except (PicklingError, UnpicklingError):
        return False
    return True
