"""Exceptions on their way back from a worker: the same again, or as much of it as can cross."""

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
    """Make bytes of an exception that are sure to give an exception again.

    Many classes pickle well and fail when they are unpickled, because their ``__init__`` takes
    other arguments than it gives to ``args``; others hold what cannot be pickled. What comes back
    is the first of these that tells the same type and message: the exception itself; one of its
    class, made without ``__init__``; one made as usual, as built-in exceptions need it; a
    :class:`RemoteError`. All but the first have those arguments and attributes that can be pickled.
    """
    traceback = "".join(format_exception(error))
    kind, args = type(error), error.args
    for portable in (error, _Copy(error, _without_init, (kind, *args)), _Copy(error, kind, args)):
        data = _crossing(portable, error)
        if data is not None:
            return data, traceback
    stand_in = _Copy(error, RemoteError, (describe_error(error),))
    return pack(stand_in, "a RemoteError"), traceback


def unpack_exception(packed: Packed, error: str) -> BaseException:
    """Make an exception of bytes, with the traceback of the worker as its cause.

    Args:
        packed: The exception.
        error: Its description, for the case that it cannot be unpickled here.
    """
    data, traceback = packed
    try:
        exception = _unpacked(data)
    except UnpicklingError:
        exception = RemoteError(error)
    exception.__cause__ = RemoteTraceback(traceback)
    return exception


def _unpacked(data: bytes) -> BaseException:
    """Unpack an exception without tracebacks, which can be pickled once Dask is imported.

    They would be made of the frames that are running here, and keep all that is in them alive, such
    as the event loop; the text of the real ones comes along.
    """
    exception: BaseException = unpack(data, "the exception")
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
    return exception


def _crossing(portable: object, error: BaseException) -> bytes | None:
    try:
        data = pack(portable, "an exception")
        back = _unpacked(data)
    except (PicklingError, UnpicklingError):
        return None
    same = type(back) is type(error) and describe_error(back) == describe_error(error)
    return data if same else None


class _Copy:
    """Is unpickled as a copy of an exception, with what can be pickled of it."""

    def __init__(
        self, error: BaseException, make: Callable[..., BaseException], args: tuple[Any, ...]
    ) -> None:
        self._make = make
        self._args = tuple(arg if _crosses(arg) else str(arg) for arg in args)
        self._attributes = {name: value for name, value in vars(error).items() if _crosses(value)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (self._make, self._args, self._attributes)


def _remade(
    make: Callable[..., BaseException], args: tuple[Any, ...], attributes: dict[str, Any]
) -> BaseException:
    error = make(*args)
    vars(error).update(attributes)
    return error


def _without_init(kind: type[BaseException], *args: Any) -> BaseException:
    return kind.__new__(kind, *args)


def _crosses(value: Any) -> bool:
    try:
        unpack(pack(value, ""), "")
    except (PicklingError, UnpicklingError):
        return False
    return True
