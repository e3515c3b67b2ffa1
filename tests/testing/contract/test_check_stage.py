"""check_stage: sound stages pass, and each planted bug is found under the name of its rule."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st
from reactivex import abc
from reactivex import operators as ops

from nadoo_flow import FilterNode, FlatMapNode, MapNode, OperatorNode, ReduceNode
from nadoo_flow.testing import BrokenRuleError, check_stage
from nadoo_flow.testing.contract.referee import Referee, _Observer
from nadoo_flow.testing.contract.stage_case import StageCase
from nadoo_flow.testing.contract.stage_checks import StageChecker
from nadoo_flow.testing.contract.stage_subject import make_subject_maker

from .broken_stages import BROKEN, Forgetting, Losing, Reordering, Sound

pytestmark = [pytest.mark.slow, pytest.mark.one_python]


def add(total: Any, value: Any) -> Any:
    return total + value


OWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "map": (lambda work: MapNode("map", work, max_concurrency=3), {}),
    "map with a key": (lambda work: MapNode("map", work, key=lambda n: n % 2), {}),
    "filter": (lambda work: FilterNode("filter", work, max_concurrency=2), {}),
    "flat map": (FlatMapNode("split", str.split), {"items": st.text("a ", max_size=5)}),
    "reduce": (ReduceNode("sum", add, 0), {"model": sum}),
    "operators": (
        lambda: OperatorNode(ops.pairwise()),
        {"model": lambda items: list(pairwise(items))},
    ),
    "chain": (
        lambda work: (
            MapNode("map", work, output_key="mapped")
            | FilterNode("filter", lambda number: number % 2, input_key="mapped")
        ),
        {},
    ),
    "own": (Sound, {}),
}


@pytest.mark.parametrize("name", OWN)
def test_sound_stages_keep_the_rules(name: str) -> None:
    stage, options = OWN[name]
    check_stage(stage, max_examples=8, **options)


@pytest.mark.usefixtures("first_found")
@pytest.mark.parametrize("stage", [pytest.param(stage, id=stage.__name__) for stage in BROKEN])
def test_a_broken_stage_is_found_by_the_rule_that_it_breaks(stage: Any) -> None:
    with pytest.raises(BrokenRuleError) as caught:
        check_stage(stage, max_examples=20)
    assert caught.value.rule == BROKEN[stage]


def test_the_case_is_the_simplest_in_words() -> None:
    texts = []
    for stage in (Losing, Reordering):
        with pytest.raises(BrokenRuleError) as caught:
            check_stage(stage)
        texts.append(caught.value.text)
    assert texts == [
        "A run over [0, 0, 0] gave [0, 0] instead of [0, 0, 0].",
        "A run over [0, 1] gave its outputs in another order: [1, 0].",
    ]


def test_signals_inside_of_each_other_are_found() -> None:
    referee = Referee()

    class Asking(abc.ObserverBase[int]):
        def on_next(self, value: int) -> None:
            if value < 2:
                watched.on_next(value + 1)

        def on_error(self, error: Exception) -> None: ...

        def on_completed(self) -> None: ...

    watched = _Observer(Asking(), referee)
    watched.on_next(2)
    assert referee.broken is None
    watched.on_next(1)
    assert referee.broken is not None
    assert referee.broken.rule == "103"


def test_what_runs_on_behind_a_take_is_found() -> None:
    case = StageCase([1, 2, 3], window=5, taken=0, cancel_at=0, turns=0)
    StageChecker(make_subject_maker(Sound), None).check_take(case)
    with pytest.raises(BrokenRuleError) as caught:
        StageChecker(make_subject_maker(Forgetting), None).check_take(case)
    assert caught.value.rule == "206"
    assert caught.value.text.startswith("`take(1)` of 27 items has ended, and a task is left: task")


def test_a_wrong_model_is_found_too() -> None:
    with pytest.raises(BrokenRuleError, match="gave 0 instead of 1"):
        check_stage(ReduceNode("sum", add, 0), model=lambda items: sum(items) + 1)


async def test_it_is_called_outside_of_event_loops() -> None:
    with pytest.raises(RuntimeError, match=r"^check_stage\(\) runs loops of its own"):
        check_stage(Sound)


def test_without_hypothesis_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"needs hypothesis: pip install 'nadoo-flow\[testing\]'"):
        check_stage(Sound)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: check_stage(5), r"stage must be a stage, or a function that makes one, got 5"),  # type: ignore[arg-type]
        (lambda: check_stage(lambda: 5), r"stage must be .* which made 5 \(int\)"),  # type: ignore[arg-type, return-value]
        (lambda: check_stage(lambda a, b: 5), r"which takes several arguments; write lambda work"),  # type: ignore[arg-type, return-value]
        (lambda: check_stage(Sound, model=5), "model must be a function, got 5"),  # type: ignore[arg-type]
        (lambda: check_stage(Sound, max_examples=0), "max_examples must be at least 1, got 0"),
    ],
)
def test_a_bad_argument_is_refused(check: Callable[[], None], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        check()
