"""Outputs are pickled one after the other, and none leaves a trace in the next."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from pickle import PicklingError
from typing import Any

import pytest

from nadoo_flow.executors.wire import SMALL, OutputPacker, unpack_outputs

from .helpers import Unpicklable


class Holding:
    """Something to which a weak reference is possible."""


def there_and_back(packer: OutputPacker, output: Any) -> Any:
    return next(unpack_outputs(packer.pack([output]), 1))


def test_an_output_that_cannot_be_pickled_does_not_spoil_the_next() -> None:
    packer, same = OutputPacker(), ["kept"]
    for _ in range(3):
        with pytest.raises(PicklingError):
            packer.pack([same, "x" * 100, Unpicklable()])
        assert there_and_back(packer, [same, same]) == [["kept"], ["kept"]]


@pytest.mark.parametrize("size", [1, 2 * SMALL])
def test_the_bytes_of_an_output_depend_on_nothing_before_it(size: int) -> None:
    packer, same = OutputPacker(), ["twice"]
    first = packer.pack([same, same])
    packer.pack([same, "x" * size])
    assert packer.pack([same, same]) == first


def test_nothing_of_an_output_is_kept() -> None:
    packer, output = OutputPacker(), Holding()
    alive = weakref.ref(output)
    packer.pack([output, output])
    del output
    gc.collect()
    assert alive() is None


def test_a_function_never_gets_the_globals_of_one_that_is_gone() -> None:
    def make(name: str) -> Callable[[], str]:
        namespace: dict[str, Any] = {"__name__": name}
        exec("def find_name(): return globals()['__name__']", namespace)
        function: Callable[[], str] = namespace.pop("find_name")
        return function

    packer = OutputPacker()
    names = [str(number) for number in range(50)]
    # The globals of each are where those of the one before it were.
    assert [there_and_back(packer, make(name))() for name in names] == names


def test_a_large_output_leaves_no_large_memo_to_be_cleared_after_each_small_one() -> None:
    packer = OutputPacker()
    packer.pack([[number] for number in range(100_000)])
    packer.pack([1])
    assert sys.getsizeof(packer._pickler) < 100_000
