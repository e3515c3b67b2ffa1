"""Pickling by cloudpickle of all that travels to a worker and back."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from io import BytesIO
from pickle import PicklingError, UnpicklingError
from typing import Any

from ..errors import describe_error

SMALL = 1_024
"""Bytes of an output whose pickler is used for the next one, too."""


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


class OutputPacker:
    """Pickles outputs one by one, much faster than :func:`pack` does."""

    def __init__(self) -> None:
        self._file = BytesIO()
        self._pickler: Any = import_cloudpickle().Pickler(self._file)

    def pack(self, outputs: list[Any]) -> bytes:
        """Pickle a list of one output.

        Raises:
            PicklingError: If it cannot be pickled.
        """
        file, pickler = self._file, self._pickler
        try:
            pickler.dump(outputs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the output is at fault, whatever its class raises
            self.__init__()  # type: ignore[misc]  # what was begun is of no use
            problem = f"the output cannot be pickled: {describe_error(error)}"
            raise PicklingError(problem) from error
        data = file.getvalue()
        if len(data) > SMALL:
            self.__init__()  # type: ignore[misc]  # a memo that has grown is slow to clear for ever
        else:
            pickler.clear_memo()
            # cloudpickle finds globals in it by their id, which others may have when they are gone.
            pickler.globals_ref = {}
            file.seek(0)
            file.truncate()
        return data


def unpack_outputs(data: bytes, number: int) -> Iterator[Any]:
    """Unpickle so many outputs, in lists that were pickled one after the other.

    Raises:
        UnpicklingError: If that fails for one of them, behind those before it.
    """
    file = BytesIO(data)
    while number > 0:
        try:
            outputs = pickle.load(file)  # an Unpickler would mix up the memos of two lists
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            problem = f"the output cannot be unpickled: {describe_error(error)}"
            raise UnpicklingError(problem) from error
        yield from outputs
        number -= len(outputs)
