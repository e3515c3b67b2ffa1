"""The benchmark suite checks what it measures, and says what it could not measure."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path

import pytest

from . import figures, runner, targets, trials
from .__main__ import main, named
from ._worker import agreed, measure
from .cases import all_cases, executors
from .model import Case, Contestant, Measured, Outcome, Params, Run
from .report import case_data, case_text, number, table
from .runner import Row, Settings
from .ways import OURS, OWN

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

CASES = all_cases()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(rounds=2, budget=60, cache=tmp_path)


def available(case: Case) -> list[Contestant]:
    """Return the contestants that are installed; an environment of its own takes too long."""
    return [
        one
        for one in case.contestants
        if one.peer is None or (not one.peer.own_venv and importlib.util.find_spec(one.peer.module))
    ]


def small(case: Case) -> list[Params]:
    """Return the variants of a case at a size that takes no time."""
    variants = runner.at_size(case, 10).variants
    return [{**params, "repeats": 1} if "repeats" in params else params for params in variants]


@pytest.fixture
def end_workers() -> Iterator[None]:
    """End the workers that a case has started, before others are tested."""
    yield
    executors.end_workers()


@pytest.mark.usefixtures("end_workers")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_contestant_comes_to_the_expected_answer(case: Case) -> None:
    brief = replace(case, steady=False)
    for params in small(case):
        expected = json.loads(json.dumps(case.expected(params)))
        for contestant in available(case):
            measured = measure(brief, contestant, params)
            assert json.loads(json.dumps(measured.answer)) == expected, contestant.name
            assert isfinite(case.figure(measured, params))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ours_comes_first_and_names_are_unique(case: Case) -> None:
    names = [contestant.name for contestant in case.contestants]
    assert "nadoo" in names[0]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: target.text)
def test_a_target_names_figures_that_exist(target: figures.Target) -> None:
    for cell in target.figure.cells():
        assert cell.params in CASES[cell.case].variants
        assert cell.contestant in [one.name for one in CASES[cell.case].contestants]


def test_a_fresh_process_measures(settings: Settings) -> None:
    rows = runner.run(trials.FAIR, settings)
    assert [(row.contestant, row.figures, row.problem) for row in rows] == [
        ("right", [20.0, 20.0], ""),
        ("also right", [20.0, 20.0], ""),
        ("right", [2000.0, 2000.0], ""),
        ("also right", [2000.0, 2000.0], ""),
    ]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_event_loop_may_be_that_of_uvloop(loop: str, settings: Settings) -> None:
    pytest.importorskip(loop)
    case = replace(trials.LOOP, variants=({"n": 1},), expected=lambda params: loop)
    (row,) = runner.run(case, replace(settings, uvloop=loop == "uvloop"))
    assert (row.problem, len(row.figures)) == ("", 2)


def test_without_uvloop_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(SystemExit, match=r"--uvloop needs uvloop: pip install"):
        main(["first-result", "--uvloop"])


def test_contestants_take_turns(settings: Settings, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    case = replace(
        trials.TURNS,
        variants=({"n": 1, "marks": str(marks)},),
    )
    runner.run(case, settings)
    # Each process prepares twice: the warm-up first.
    assert marks.read_text() == "aabbaabb"


def test_what_went_wrong_is_told(settings: Settings) -> None:
    rows = runner.run(runner.at_size(trials.UNFAIR, 5), settings)
    assert [(row.contestant, row.problem, row.wrong) for row in rows] == [
        ("right", "", False),
        ("wrong", "wrong result: 2 instead of 1", True),
        ("crashing", "failed: LookupError: no such thing", True),
        ("absent", "not installed: pip install absent-package", False),
    ]
    text = case_text(trials.UNFAIR, rows)
    for row in rows[1:]:
        assert f"| {row.contestant}" in text
        assert row.problem in text
        assert row.median is None


def test_what_takes_too_long_is_stopped(settings: Settings) -> None:
    brief = replace(settings, budget=0.3)
    case = replace(trials.STUCK, variants=({"n": 10},))
    (row,) = runner.run(case, brief)
    assert (row.problem, row.wrong, row.median) == ("stopped after 1 s", False, None)


def test_what_would_take_too_long_is_skipped(settings: Settings) -> None:
    rows = [
        Row({"n": 10}, "right", [1.0], [0.0], seconds=2, spent=2),
        Row({"n": 1000}, "right"),
    ]
    runner._take_turn(trials.FAIR, trials.RIGHT, rows[1], rows, "no-python", settings)
    assert rows[1].problem == "skipped: a round would take about 200 s"


def test_answers_that_change_from_run_to_run_are_all_told() -> None:
    assert agreed([1, 1]) == 1
    assert agreed([1, 2, 1]) == [1, 2, 1]


def test_the_table_relates_medians_to_ours() -> None:
    params = {"n": 1000, "concurrency": 10}
    rows = [
        Row(params, "right", [2.0, 1.0, 9.0], [1.0, 1.0, 1.5]),
        Row(params, "also right", [400.0, 500.0, 600.0], [0.25] * 3, note="by the way"),
    ]
    assert case_text(trials.FAIR, rows) == (
        "## fair\n\nA trial (things).\n\nn 1,000, concurrency 10:\n\n"
        "| contestant              | things | min to max (rounds) | over ours | MB at the peak |\n"
        "| ----------------------- | ------ | ------------------- | --------- | -------------- |\n"
        "| right                   | 2      | 1 to 9 (3)          | 1.00x     | 1.0            |\n"
        "| also right (by the way) | 500    | 400 to 600 (3)      | 250.00x   | 0.2            |"
    )
    ratios = [row["ratio"] for row in case_data(trials.FAIR, rows)["rows"]]
    assert ratios == [1.0, 250.0]


def test_growth_is_related_to_the_smallest_size() -> None:
    rows = [Row({"n": 10}, "right", [2.0], [0.0]), Row({"n": 1000}, "right", [3.0], [0.0])]
    data = case_data(replace(trials.FAIR, over="smallest"), rows)
    assert [row["ratio"] for row in data["rows"]] == [1.0, 1.5]


def test_targets_are_met_missed_or_not_measured() -> None:
    params: Params = {"n": 10}
    rows = {
        "fair": [
            Row(params, "right", [10.0], [1.0]),
            Row(params, "also right", [30.0], [5.0]),
        ]
    }
    ours, other = figures.Cell("fair", "right", params), figures.Cell("fair", "also right", params)
    more, less = (replace(cell, memory=True) for cell in (other, ours))
    elsewhere = replace(ours, case="elsewhere")
    tried = [
        figures.Target("other over ours", "at least", 3, figures.ratio(other, ours)),
        figures.Target("ours over other", "at most", 0.3, figures.ratio(ours, other)),
        figures.Target("ours", "at most", 10, ours, " us"),
        figures.Target("memory", "at most", 3, figures.added(more, less), " MB"),
        figures.Target("other", "at most", None, other, " us"),
        figures.Target("elsewhere", "at most", 1, figures.ratio(elsewhere, other)),
    ]
    text = figures.text(rows, tried)
    shown = [tuple(cell.strip() for cell in line.split("|")[2:5]) for line in text.split("\n")[4:]]
    assert shown == [
        ("at least 3x", "3x", "met"),
        ("at most 0.3x", "0.333x", "missed"),
        ("at most 10 us", "10 us", "met"),
        ("at most 3 MB", "4 MB", "missed"),
        ("", "30 us", "for comparison"),
        ("at most 1x", "", "not measured"),
    ]


def test_targets_run_only_what_they_need() -> None:
    wanted = figures.select(targets.TARGETS, ["growth", "per-item-function"])
    growth, function = sorted(figures.cases(CASES, wanted), key=lambda case: case.name)
    assert {one.name.partition(",")[0] for one in growth.contestants} == {OURS}
    assert {one.name for one in function.contestants} >= {OURS, OWN}
    assert "aiometer amap" not in {one.name for one in function.contestants}
    assert [params["n"] for params in function.variants] == [100_000]


def test_a_target_is_chosen_if_all_cases_that_it_needs_are() -> None:
    chosen = figures.select(targets.TARGETS, ["policies"])
    assert {cell.case for target in chosen for cell in target.figure.cells()} == {"policies"}
    assert figures.select(targets.TARGETS, CASES) == list(targets.TARGETS)


def test_quick_takes_the_smallest_size() -> None:
    assert runner.quick(trials.FAIR).variants == ({"n": 10},)
    assert runner.quick(CASES["import-time"]) == CASES["import-time"]


def test_the_command_line_writes_a_table_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.all_cases", lambda: {"fair": trials.FAIR})
    file = tmp_path / "figures.json"
    assert main(["fair", "--n", "7", "--rounds", "1", "--json", str(file)]) == 0
    assert "| also right | 14 " in capsys.readouterr().out
    (case,) = json.loads(file.read_text())["cases"]
    assert [(row["figures"], row["ratio"]) for row in case["rows"]] == [([14.0], 1.0)] * 2


def test_a_wrong_result_makes_the_command_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.all_cases", lambda: {"unfair": trials.UNFAIR})
    assert main(["unfair", "--quick", "--rounds", "1"]) == 1
    assert "wrong result: 2 instead of 1" in capsys.readouterr().out


def test_the_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*CASES, "targets"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], list(CASES)),
        (["pipeline"], ["pipeline"]),
        (["pipe"], ["pipeline", "pipeline-cost"]),
        (["growth", "pipe", "growth"], ["growth", "pipeline", "pipeline-cost"]),
    ],
)
def test_a_name_is_a_case_or_the_beginning_of_several(given: list[str], found: list[str]) -> None:
    assert [case.name for case in named(CASES, given)] == found


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SystemExit, match="no case is called 'nothing'"):
        main(["nothing"])


@pytest.mark.parametrize(
    ("value", "shown"), [(1234.5, "1,234"), (99.96, "100"), (3.14159, "3.14"), (0.0039, "0.00")]
)
def test_a_figure_has_as_many_digits_as_it_is_good_for(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_table_leaves_out_columns_that_hold_nothing() -> None:
    assert table(["a", "", "c"], [["1", "", "3"]]) == "| a | c |\n| - | - |\n| 1 | 3 |"


def test_memory_is_seen() -> None:
    def prepare(params: Params) -> Run:
        async def once() -> Outcome:
            return Outcome(len(b"x" * (params["n"] * 2**20)) // 2**20)

        return once

    measured: Measured = measure(trials.FAIR, Contestant("large", prepare), {"n": 50})
    assert 45 <= measured.peak_mb <= 60
