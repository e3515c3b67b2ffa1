"""The index of the source item that an output belongs to."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from typing_extensions import override

from ..streams import Indexed

T = TypeVar("T")


class IndexedOutput(NamedTuple, Generic[T]):
    """An output of a stream with the index of its source item.

    Attributes:
        index: The position of the item in the source. Behind an ``OperatorNode``, a ``ReduceNode``
            or an ``ExpandNode``, whose outputs belong to no one item, the number of the output.
        value: The output.
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index
    value: T


class OutputIndex(int):
    """The number of an output, which knows the index of the source item.

    Attributes:
        source: The index of the source item.
        path: Identifies the output in a checkpoint; empty where there is none.
    """

    source: int
    path: str

    @override
    def __new__(cls, number: int, source: int, path: str = "") -> OutputIndex:
        index = super().__new__(cls, number)
        index.source = source
        index.path = path
        return index

    def __getnewargs__(self) -> tuple[int, int, str]:  # type: ignore[override]  # for copies and pickles
        return int(self), self.source, self.path


def get_source_index(index: int) -> int:
    """Return the index of the source item that an item belongs to."""
    return index.source if isinstance(index, OutputIndex) else index


def get_path(index: int) -> str:
    """Return what identifies an item in a checkpoint: the position of a source item, as a text."""
    return index.path if isinstance(index, OutputIndex) and index.path else str(int(index))


def make_indexed_output(indexed: Indexed[Any]) -> IndexedOutput[Any]:
    """Return what a stream with indexes yields for an item."""
    return IndexedOutput(get_source_index(indexed[0]), indexed[1])
