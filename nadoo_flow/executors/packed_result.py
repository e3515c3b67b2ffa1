"""Results as bytes, on their way back from a worker."""

from __future__ import annotations

from pickle import PicklingError, UnpicklingError
from typing import TypeAlias

from ..errors import describe_error
from ..nodes.context import NodeResult
from ..nodes.execution import describe_failure
from .remote_exception import Packed, pack_exception, unpack_exception
from .wire import pack, unpack

PackedResult: TypeAlias = tuple[bytes, "Packed | None"]
"""The fields of a NodeResult up to its exception as bytes, and the exception."""


def pack_result(result: NodeResult) -> PackedResult:
    """Pickle a result; one that cannot be pickled becomes a failure that says so."""
    exception = result.exception
    try:
        data = _pack_without_exception(result)
    except PicklingError as error:
        if result.success:
            exception = error
            result = NodeResult(False, None, describe_error(error))
        else:  # the failure itself matters more than that it cannot be pickled
            result = NodeResult(False, None, str(result.error))
        data = _pack_without_exception(result)
    return data, None if exception is None else pack_exception(exception)


def unpack_result(packed: PackedResult) -> NodeResult:
    """Unpickle a result; one that cannot be unpickled becomes a failure that says so."""
    data, exception = packed
    try:
        result = NodeResult(*unpack(data, "the output"))
    except UnpicklingError as error:
        return describe_failure(error)
    if exception is not None:
        result.exception = unpack_exception(exception, result.error or "")
    return result


def _pack_without_exception(result: NodeResult) -> bytes:
    # Without its class, which would cost ten times as much as all the rest of a small result.
    return pack((result.success, result.output, result.error, result.metadata), "the output")
