"""Random cases with fixed seeds, and the bugs that they must find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ..contract.broken_engines import sound
from .case import Act, Batch, Case, Ending, Leaf, Source, describe_case
from .draw import draw_case
from .found import FOUND
from .planted import ABOUT, FIRST, PLANTED, find_planted, plant_engine
from .run import findings_of
from .shrink import shrink

BLOCK = 100
"""Seeds in a test."""


@pytest.mark.parametrize("block", range(10))
def test_nothing_is_found_in_random_cases(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        case = draw_case(seed)
        findings = findings_of(case)
        assert not findings, f"python -m tests.fuzz --seed {seed}\n{describe_case(case)}"


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(name: str) -> None:
    assert findings_of(FOUND[name]) == []


@pytest.mark.slow
@pytest.mark.one_python
@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_bug_is_found(name: str) -> None:
    assert find_planted(PLANTED[name], FIRST.get(name, 0), ABOUT.get(name, "")) is not None


def test_an_engine_without_a_bug_is_no_finding() -> None:
    with plant_engine(sound)():
        for seed in range(2 * BLOCK):
            assert not findings_of(draw_case(seed)), seed


def test_a_seed_is_always_the_same_case() -> None:
    assert [draw_case(seed) for seed in range(50)] == [draw_case(seed) for seed in range(50)]


def test_a_case_is_described_as_it_is_written() -> None:
    case = Case(
        7, "batch", Batch(Leaf("a", acts=(Act("sleep", 1.0),)), 3), Source(length=9), Ending()
    )
    assert describe_case(replace(case, eager=True)) == (
        "Case(\n"
        "    seed=7,\n"
        "    way='batch',\n"
        "    what=Batch(work=Leaf(name='a', acts=(Act(kind='sleep', seconds=1.0),)), limit=3),\n"
        "    source=Source(length=9),\n"
        "    ending=Ending(),\n"
        "    eager=True\n"
        ")"
    )


def test_a_case_is_made_smaller_while_it_fails_in_the_same_way() -> None:
    def findings_of_a_sleeper(case: Case) -> list[str]:
        return ["it sleeps"] if "'sleep'" in repr(case.what) else []

    acts = (Act("clean", 1.0), Act("sleep", 2.5), Act("raise", 0.0, "OSError"))
    case = Case(1, "batch", Batch(Leaf("a", acts=acts), 40), Source("generator", 30), Ending())
    smallest = Case(
        1, "batch", Batch(Leaf("a", acts=(Act("sleep"),)), 1), Source("generator", 1), Ending()
    )
    assert shrink(case, findings_of_a_sleeper) == replace(smallest, chunk=1)
