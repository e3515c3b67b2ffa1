"""What crosses to a worker and back: bytes, by cloudpickle."""

from __future__ import annotations

from pickle import PicklingError, UnpicklingError
from typing import Any

from ..errors import describe_error


def cloudpickle() -> Any:
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
    """Make bytes of a value; lambdas, local classes and those of ``__main__`` go along whole.

    Args:
        value: Anything.
        what: What to call it in an error.

    Raises:
        PicklingError: If it cannot be pickled.
    """
    try:
        data: bytes = cloudpickle().dumps(value)
    except Exception as error:
        raise PicklingError(f"{what} cannot be pickled: {describe_error(error)}") from error
    return data


def unpack(data: bytes, what: str) -> Any:
    """Make a value of bytes again.

    Raises:
        UnpicklingError: If that fails, such as for want of a module.
    """
    try:
        return cloudpickle().loads(data)
    except Exception as error:
        raise UnpicklingError(f"{what} cannot be unpickled: {describe_error(error)}") from error
