"""Results as data frames of pandas and polars."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from nadoo_flow import BatchResult, BatchResults

FIELDS = [
    *("index", "input_data", "success", "output", "error"),
    *("execution_time", "exception", "metadata", "started"),
]
OTHERS = [name for name in FIELDS if name != "output"]

ERROR = ValueError("no")


def of_outputs(*outputs: Any) -> BatchResults:
    """Make successful results with certain outputs."""
    return BatchResults(BatchResult(at, "in", True, output) for at, output in enumerate(outputs))


def with_pandas(results: BatchResults, **given: Any) -> dict[str, list[Any]]:
    """Return the columns of a frame of pandas; what is missing is None."""
    frame = results.to_pandas(**given).astype(object)
    return dict(frame.where(frame.notna(), None).to_dict("list"))


def with_polars(results: BatchResults, **given: Any) -> dict[str, list[Any]]:
    """Return the columns of a frame of polars."""
    return results.to_polars(**given).to_dict(as_series=False)


both = pytest.mark.parametrize("read", [with_pandas, with_polars])

Read = Callable[..., dict[str, list[Any]]]


@both
class TestColumns:
    def test_there_is_a_column_for_each_field(self, read: Read) -> None:
        failed = BatchResult(1, "b", False, None, "ValueError: no", 2.0, ERROR, {"a": 1}, 7.5)
        columns = read(BatchResults([BatchResult(0, "a", True, "A"), failed]))
        assert list(columns) == FIELDS
        assert columns["index"] == [0, 1]
        assert columns["output"] == ["A", None]
        assert columns["exception"] == [None, ERROR]
        assert columns["metadata"] == [{}, {"a": 1}]
        assert columns["started"] == [None, 7.5]

    def test_no_results_are_no_rows(self, read: Read) -> None:
        assert read(BatchResults()) == {name: [] for name in FIELDS}
        assert list(read(BatchResults(), spread=True)) == [*OTHERS, "output"]

    def test_keys_of_outputs_are_columns_when_they_are_spread(self, read: Read) -> None:
        columns = read(
            of_outputs({"text": "a", "score": 1}, {"score": 0.5, "more": {"x": 1}}), spread=True
        )
        assert list(columns) == [*OTHERS, "text", "score", "more", "output"]
        assert columns["text"] == ["a", None]
        assert columns["score"] == [1, 0.5]
        assert columns["more"] == [None, {"x": 1}]
        assert columns["output"] == [None, None]

    def test_outputs_that_are_no_mappings_are_in_the_last_column(self, read: Read) -> None:
        columns = read(of_outputs({"a": 1}, "text", MappingProxyType({"a": 2})), spread=True)
        assert columns["a"] == [1, None, 2]
        assert columns["output"] == [None, "text", None]

    def test_a_key_with_the_name_of_another_column_is_told_apart(self, read: Read) -> None:
        output = {"index": "a", "output": "b", "output.index": "c", 1: "d", "1": "e"}
        columns = read(of_outputs(output), spread=True)
        assert columns["index"] == [0]
        assert {name: columns[name] for name in list(columns)[len(OTHERS) :]} == {
            "output.index": ["a"],
            "output.output": ["b"],
            "output.output.index": ["c"],
            "1": ["d"],
            "output.1": ["e"],
            "output": [None],
        }

    def test_spread_is_a_bool(self, read: Read) -> None:
        with pytest.raises(TypeError, match="spread must be"):
            read(BatchResults(), spread="output")


class TestPolars:
    @pytest.mark.parametrize(
        "values",
        [
            [1, "a"],
            [True, 1],
            [{"a": 1}, {"b": 2}],
            [{"a": 1}, {"a": "x"}],
            [{}, {"a": 1}],
            [(1, 2), [3]],
            [ERROR, None],
            ["\ud800", "a"],
            [{1: 2}],
        ],
        ids=str,
    )
    def test_values_without_a_common_type_are_kept_as_they_are(self, values: list[Any]) -> None:
        assert with_polars(of_outputs(*values))["output"] == values

    @pytest.mark.parametrize(
        ("values", "kind"),
        [([1, None], "Int64"), ([1, 0.5, None], "Float64"), (["a", None], "String")],
    )
    def test_values_of_one_type_have_it(self, values: list[Any], kind: str) -> None:
        frame = of_outputs(*values).to_polars()
        assert str(frame["output"].dtype) == kind
        assert frame["output"].to_list() == values


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_what_is_missing_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"pip install 'nadoo-flow\[{library}\]'"):
        getattr(BatchResults(), f"to_{library}")()
