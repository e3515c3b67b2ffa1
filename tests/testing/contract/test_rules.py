"""The rules whose words the checks say are those of the page."""

from __future__ import annotations

import re
from pathlib import Path

from nadoo_flow.testing import BrokenRuleError
from nadoo_flow.testing.contract.rules import RULES

PAGE = (Path(__file__).parents[2] / "CONTRACT.md").read_text(encoding="utf-8")
WORDS = {
    number: " ".join(text.split())
    for number, text in re.findall(
        r"^- \*\*(R?\d+)\*\* (.*?)(?=\n- |\n\n|\n#|\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
}


def test_each_rule_has_the_words_of_the_page() -> None:
    assert {number: WORDS.get(number) for number in RULES} == RULES


def test_the_error_names_the_rule_and_says_it() -> None:
    error = BrokenRuleError("107", "What happened.")
    assert isinstance(error, AssertionError)
    assert (error.rule, error.text) == ("107", "What happened.")
    assert str(error) == (
        "rule 107 is broken: After completion or an error there is silence.\nWhat happened."
    )
