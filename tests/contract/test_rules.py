"""The page of rules and the tests that carry their numbers."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = (TESTS / "CONTRACT.md").read_text()
RULES = set(re.findall(r"^- \*\*(R?\d+)\*\* ", PAGE, re.MULTILINE))
TESTED = {
    rule.upper()
    for file in TESTS.rglob("test_*.py")
    for rule in re.findall(
        r"^ *(?:async )?def test_rule_(r?\d+)_\w+\(", file.read_text(), re.MULTILINE
    )
}


def test_each_rule_has_a_test_that_carries_its_number() -> None:
    assert len(RULES) == PAGE.count("\n- **")
    assert not RULES - TESTED


def test_no_test_carries_the_number_of_a_rule_that_is_not_there() -> None:
    assert not TESTED - RULES
