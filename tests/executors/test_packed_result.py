"""Results come back whole, or as a failure that says why not."""

from __future__ import annotations

import threading
from pickle import PicklingError, UnpicklingError
from typing import Any

from nadoo_flow import NodeResult
from nadoo_flow.executors.packed_result import pack_result, unpack_result

from .helpers import REFUSAL, Unpicklable


class Trap:
    """Is pickled, but cannot be unpickled."""

    def __reduce__(self) -> Any:
        return int, ("x",)


def there_and_back(result: NodeResult) -> NodeResult:
    return unpack_result(pack_result(result))


def test_a_success_comes_back() -> None:
    result = NodeResult(True, {"a": [1]}, metadata={"tokens": 7})
    assert there_and_back(result) == result


def test_a_failure_comes_back_with_its_exception() -> None:
    result = NodeResult(False, None, "ValueError: no", {"tokens": 7}, ValueError("no"))
    back = there_and_back(result)
    assert back == result
    assert repr(back.exception) == "ValueError('no')"


def test_an_output_that_cannot_be_pickled_is_a_failure() -> None:
    back = there_and_back(NodeResult(True, Unpicklable()))
    assert back.error == f"PicklingError: the output cannot be pickled: {REFUSAL}"
    assert isinstance(back.exception, PicklingError)


def test_an_output_that_cannot_be_unpickled_is_a_failure() -> None:
    back = there_and_back(NodeResult(True, Trap()))
    assert (back.success, back.output) == (False, None)
    assert str(back.error).startswith("UnpicklingError: the output cannot be unpickled: ValueError")
    assert isinstance(back.exception, UnpicklingError)


def test_a_failure_stays_what_it_was_when_its_metadata_cannot_be_pickled() -> None:
    result = NodeResult(False, None, "ValueError: no", {"lock": threading.Lock()}, ValueError("no"))
    back = there_and_back(result)
    assert (back.error, back.metadata) == ("ValueError: no", {})
    assert repr(back.exception) == "ValueError('no')"
