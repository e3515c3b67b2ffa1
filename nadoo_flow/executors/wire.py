"""Pickling by cloudpickle of all that travels to a worker and back."""

from __future__ import annotations

from pickle import PicklingError, UnpicklingError
from typing import Any

from ..errors import describe_error


def import_cloudpickle() -> Any:
    """Import cloudpickle.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise ImportError("on() needs cloudpickle: pip install 'nadoo-flow[processes]'") from error
    return cloudpickle


def pack(value: object, what: str) -> bytes:
    """Pickle a value, together with its lambdas, local classes and classes of ``__main__``.

    Args:
        value: Anything.
        what: The name of the value in an error.

    Raises:
        PicklingError: If it cannot be pickled.
    """
    try:
        data: bytes = import_cloudpickle().dumps(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the value is at fault, whatever its class raises
        raise PicklingError(f"{what} cannot be pickled: {describe_error(error)}") from error
    return data


def unpack(data: bytes, what: str) -> Any:
    """Unpickle a value.

    Args:
        data: Made by :func:`pack`.
        what: The name of the value in an error.

    Raises:
        UnpicklingError: If that fails, for example because a module is missing.
    """
    try:
        return import_cloudpickle().loads(data)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # for example the SystemExit of a script that is imported
        raise UnpicklingError(f"{what} cannot be unpickled: {describe_error(error)}") from error
