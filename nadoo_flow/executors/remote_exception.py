"""Exceptions as bytes, on their way back from a worker: as much of each as can be pickled."""

from __future__ import annotations

from collections.abc import Callable
from pickle import PicklingError, UnpicklingError
from traceback import format_exception
from typing import Any, TypeAlias

from ..errors import describe_error
from .errors import RemoteError, RemoteTraceback
from .wire import pack, unpack

Packed: TypeAlias = tuple[bytes, str]
"""An exception, and its traceback as text."""


def pack_exception(error: BaseException) -> Packed:
    """Pickle an exception so that it can certainly be unpickled.

    Many classes can be pickled and not unpickled, because their ``__init__`` takes other arguments
    than it passes to ``args``; others hold values that cannot be pickled. The first of these that
    has the same type and message is used: the exception itself; an instance of its class, made
    without ``__init__``; an instance made as usual, as built-in exceptions need it; a
    :class:`RemoteError`. All but the first keep the arguments and attributes that can be pickled.
    The exception itself loses its traceback.
    """
    traceback = "".join(format_exception(error))
    _drop_tracebacks(error)
    kind, args = type(error), error.args
    for portable in (
        error,
        _Copy(error, _make_without_init, (kind, *args)),
        _Copy(error, kind, args),
    ):
        data = _pack_if_same(portable, error)
        if data is not None:
            return data, traceback
    stand_in = _Copy(error, RemoteError, (describe_error(error),))
    return pack(stand_in, "a RemoteError"), traceback


def unpack_exception(packed: Packed, error: str) -> BaseException:
    """Unpickle an exception, with the traceback of the worker as its cause.

    Args:
        packed: The exception.
        error: Its description, used if it cannot be unpickled here.
    """
    data, traceback = packed
    try:
        exception = _unpack_without_tracebacks(data)
    except UnpicklingError:
        exception = RemoteError(error)
    exception.__cause__ = RemoteTraceback(traceback)
    return exception


def _unpack_without_tracebacks(data: bytes) -> BaseException:
    exception: BaseException = unpack(data, "the exception")
    _drop_tracebacks(exception)
    return exception


def _drop_tracebacks(exception: BaseException) -> None:
    """Drop the tracebacks of an exception and of those that belong to it.

    Their frames keep alive what they hold, such as the event loop. Once Dask is imported, they can
    be pickled, and are unpickled with the frames that run here. Their text travels separately.
    """
    seen: set[int] = set()
    related: list[object] = [exception]
    while related:
        error = related.pop()
        if isinstance(error, BaseException) and id(error) not in seen:
            seen.add(id(error))
            error.__traceback__ = None
            related += (error.__cause__, error.__context__)
            if isinstance(error, BaseExceptionGroup):
                related += error.exceptions


def _pack_if_same(portable: object, error: BaseException) -> bytes | None:
    try:
        data = pack(portable, "an exception")
        back = _unpack_without_tracebacks(data)
    except (PicklingError, UnpicklingError):
        return None
    same = type(back) is type(error) and describe_error(back) == describe_error(error)
    return data if same else None


class _Copy:
    """Unpickles as a copy of an exception, with what can be pickled of it."""

    def __init__(
        self, error: BaseException, make: Callable[..., BaseException], args: tuple[Any, ...]
    ) -> None:
        self._make = make
        self._args = tuple(arg if _can_cross(arg) else str(arg) for arg in args)
        self._attributes = {name: value for name, value in vars(error).items() if _can_cross(value)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (self._make, self._args, self._attributes)


def _remake(
    make: Callable[..., BaseException], args: tuple[Any, ...], attributes: dict[str, Any]
) -> BaseException:
    error = make(*args)
    vars(error).update(attributes)
    return error


def _make_without_init(kind: type[BaseException], *args: Any) -> BaseException:
    return kind.__new__(kind, *args)


def _can_cross(value: Any) -> bool:
    try:
        unpack(pack(value, ""), "")
    except (PicklingError, UnpicklingError):
        return False
    return True
