"""Tables: outputs as CSV and Parquet, and inputs from Parquet."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchResult
from nadoo_flow.cli.run.csv_output import MOST_HELD, CsvOutput

from .test_run import Run, in_order, outputs, write

NODES = """
def as_it_is(data):
    if data.get("fails"):
        raise ValueError(data["fails"])
    return data["gives"] if "gives" in data else data


def odd_key(text):
    return {("a", "b"): 1}


def odd_value(text):
    return {"a": object()}


def describe(row):
    return {"repr": repr(row)}
"""


@pytest.fixture(autouse=True)
def _nodes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "table_nodes.py", NODES)
    monkeypatch.delitem(sys.modules, "table_nodes", raising=False)


def lines(*values: Any) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: int(row["index"]))


def run_in_order(run: Run, folder: Path, output: str, *values: Any) -> int:
    name = write(folder, "in.jsonl", lines(*values))
    return run("table_nodes:as_it_is", name, "-o", output, "--concurrency", 1)[0]


class TestCsv:
    def test_has_a_column_for_each_key_of_the_first_output(self, run: Run, folder: Path) -> None:
        status = run_in_order(
            run,
            folder,
            "out.csv",
            {"fails": "no"},
            {"a": "x,\n", "b": 1.5, "index": None},
            {"b": True, "more": [1]},
            {"gives": "text"},
            {"gives": [1, "é"]},
        )
        assert status == 1
        rows = read_csv(folder / "out.csv")
        assert list(rows[0]) == [
            *("index", "input", "success", "error", "execution_time"),
            *("a", "b", "output.index", "output"),
        ]
        cells = ("a", "b", "output.index", "output")
        assert [[row[name] for name in cells] for row in rows] == [
            ["", "", "", ""],
            ["x,\n", "1.5", "", ""],
            ["", "true", "", '{"more": [1]}'],
            ["", "", "", "text"],
            ["", "", "", '[1, "é"]'],
        ]
        assert [row["success"] for row in rows] == ["false", "true", "true", "true", "true"]
        assert rows[0]["error"] == "ValueError: no"
        assert json.loads(rows[0]["input"]) == {"fails": "no"}

    def test_of_failures_and_of_nothing_has_a_header(self, run: Run, folder: Path) -> None:
        assert run_in_order(run, folder, "out.csv", {"fails": "no"}) == 1
        assert [row["error"] for row in read_csv(folder / "out.csv")] == ["ValueError: no"]
        assert run_in_order(run, folder, "out.csv") == 0
        assert (folder / "out.csv").read_text() == (
            "index,input,success,error,execution_time,output\n"
        )

    @pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl"])
    def test_of_an_output_that_is_no_json_fails_alone(
        self, name: str, run: Run, folder: Path
    ) -> None:
        if name.endswith(".parquet"):
            pytest.importorskip("pyarrow")
        for node in ("odd_key", "odd_value"):
            assert run(f"table_nodes:{node}", write(folder, "in.txt", "a\n"), "-o", name)[0] == 1

    def test_may_be_compressed(self, run: Run, folder: Path) -> None:
        assert run_in_order(run, folder, "out.csv.gz", {"a": 1}) == 0
        with gzip.open(folder / "out.csv.gz", "rt", newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["a"], row["success"]) == ("1", "true")

    def test_is_an_input_again(self, run: Run, folder: Path) -> None:
        run_in_order(run, folder, "out.csv", {"n": "a\ud83d"})
        _, printed, _ = run("shell_nodes:double", "out.csv")
        assert outputs(printed) == ["a\\ud83d" * 2]

    def test_holds_no_more_failures_back_than_it_says(self, tmp_path: Path) -> None:
        output = CsvOutput(str(tmp_path / "out.csv"), lambda result: None)
        for index in range(MOST_HELD + 1):
            assert not (tmp_path / "out.csv").exists() or not (tmp_path / "out.csv").read_text()
            output.write(BatchResult(index, "x", False, error="no"))
            if index >= MOST_HELD - 1:
                break
        assert len(read_csv(tmp_path / "out.csv")) == MOST_HELD
        output.write(BatchResult(MOST_HELD, "x", True, {"a": 1}))
        assert read_csv(tmp_path / "out.csv")[-1]["output"] == '{"a": 1}'
        output.close()

    def test_of_an_interrupted_run_has_what_was_held_back(self, tmp_path: Path) -> None:
        output = CsvOutput(str(tmp_path / "out.csv"), lambda result: None)
        output.write(BatchResult(0, "x", False, error="no"))
        output.close()
        assert [row["error"] for row in read_csv(tmp_path / "out.csv")] == ["no"]


class TestParquet:
    @pytest.fixture(autouse=True)
    def _needs_pyarrow(self) -> None:
        pytest.importorskip("pyarrow")

    @pytest.fixture
    def _small_groups(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nadoo_flow.cli.run.parquet.MOST_ROWS", 3)
        monkeypatch.setattr("nadoo_flow.cli.run.parquet.ROWS_READ", 2)

    def read(self, path: Path) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return sorted(rows, key=lambda row: int(row["index"]))

    @pytest.mark.usefixtures("_small_groups")
    def test_columns_have_the_types_of_the_first_group(self, run: Run, folder: Path) -> None:
        import pyarrow.parquet as pq

        run_in_order(
            run,
            folder,
            "out.parquet",
            {"fails": "no"},
            {"n": 1, "s": "é", "b": True, "v": [0.5, 1.5], "d": {"x": 1}, "mixed": 1},
            {"n": 2, "s": None, "mixed": "a", "empty": []},
            {"n": 2.5, "s": 7, "v": ["a"], "d": [1], "more": "m", "mixed": None},
            {"n": 2**70, "b": 0, "empty": [1]},
            {"gives": "text"},
            {"n": 3},
        )
        table = pq.ParquetFile(folder / "out.parquet")
        assert table.num_row_groups == 3
        kinds = {field.name: str(field.type) for field in table.schema_arrow}
        assert kinds == {
            "index": "int64",
            "input": "string",
            "success": "bool",
            "error": "string",
            "execution_time": "double",
            "n": "int64",
            "s": "string",
            "b": "bool",
            "v": "list<element: double>",
            "d": "string",
            "mixed": "string",
            "empty": "string",
            "output": "string",
        }
        rows = self.read(folder / "out.parquet")
        assert [row["n"] for row in rows] == [None, 1, 2, None, None, None, 3]
        assert [row["v"] for row in rows][1:4] == [[0.5, 1.5], None, None]
        assert [row["d"] for row in rows][1:4] == ['{"x": 1}', None, "[1]"]
        assert [row["mixed"] for row in rows][1:4] == ["1", "a", None]
        assert [row["s"] for row in rows][1:4] == ["é", None, "7"]
        assert [row["output"] for row in rows] == [
            *(None, None, None),
            '{"more": "m", "n": 2.5, "v": ["a"]}',
            f'{{"n": {2**70}, "b": 0}}',
            "text",
            None,
        ]
        assert rows[0]["error"] == "ValueError: no"

    def test_of_nothing_is_a_table(self, run: Run, folder: Path) -> None:
        assert run_in_order(run, folder, "out.parquet") == 0
        assert self.read(folder / "out.parquet") == []

    def test_of_an_interrupted_run_can_be_read(self, tmp_path: Path) -> None:
        from nadoo_flow.cli.run.parquet import ParquetOutput

        output = ParquetOutput(str(tmp_path / "out.parquet"), lambda result: None)
        output.write(BatchResult(0, "x", True, {"a": "\ud83d"}))
        output.close()
        assert [row["a"] for row in self.read(tmp_path / "out.parquet")] == ["\\ud83d"]

    @pytest.mark.usefixtures("_small_groups")
    def test_rows_are_inputs(self, run: Run, folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        days = [date(2026, 1, number) for number in range(1, 8)]
        pq.write_table(
            pa.table({"n": range(7), "day": days, "x": [float("nan")] * 7}),
            folder / "in.parquet",
            row_group_size=3,
        )
        status, printed, errors = run("table_nodes:describe", "in.parquet", "--progress")
        assert (status, len(printed), "7/7" in errors) == (0, 7, True)
        assert outputs(printed)[0]["repr"] == (
            "{'n': 0, 'day': datetime.date(2026, 1, 1), 'x': nan}"
        )
        assert "datetime.date(2026, 1, 1)" in printed[0]["input_data"]
        more = ("--limit", 4, "--format", "parquet", "--progress")
        status, printed, errors = run("table_nodes:describe", "in.parquet", *more)
        assert (len(printed), "4/4" in errors) == (4, True)

    def test_dates_of_an_input_are_written_as_texts(self, run: Run, folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"day": [date(2026, 1, 2)]}), folder / "in.parquet")
        run("table_nodes:describe", "in.parquet", "-o", "out.jsonl")
        (line,) = in_order((folder / "out.jsonl").read_text())
        assert line["input_data"] == {"day": "2026-01-02"}

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["bad.parquet"], "the input bad.parquet: cannot be read: "),
            (["-", "--format", "parquet"], "the input -: is Parquet, which needs a file"),
            (["in.txt", "-o", "missing/out.parquet"], "cannot write missing/out.parquet: "),
        ],
    )
    def test_a_file_that_cannot_be_used_is_one_clear_line(
        self, arguments: list[str], complaint: str, run: Run, folder: Path
    ) -> None:
        write(folder, "bad.parquet", "nonsense")
        write(folder, "in.txt", "1\n")
        status, _, errors = run("shell_nodes:odd", *arguments)
        assert status == 2
        assert complaint in errors.splitlines()[-1]


def test_without_pyarrow_the_extra_is_named(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for arguments in (["in.parquet"], ["in.txt", "-o", "out.parquet"]):
        write(folder, arguments[0], "1\n")
        status, _, errors = run("shell_nodes:odd", *arguments)
        assert (status, "pip install 'nadoo-flow[parquet]'" in errors) == (2, True)
