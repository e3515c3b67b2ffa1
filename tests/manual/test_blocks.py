"""Every block of code of the front page and the manual: it runs, and prints what it says."""

from __future__ import annotations

import re

import pytest

from .pages import BLOCKS, EXAMPLES, PAGES, Block, read
from .run_block import WORKERS, run_as_script

THEIRS = ("aiostream", "langchain_core")
"""Other libraries, whose code the manual shows beside ours; the extra ``bench`` has them."""


def uses_others(block: Block) -> bool:
    """Return whether a block is code for one of these libraries."""
    return any(f"from {library}" in block.code for library in THEIRS)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block, id=block.name, marks=[pytest.mark.slow] if WORKERS in block.code else []
        )
        for block in EXAMPLES
    ],
)
def test_an_example_prints_what_its_comments_say(
    block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for library in THEIRS:
        if f"from {library}" in block.code:
            pytest.importorskip(library)
    run_as_script(block, monkeypatch)
    promised = re.findall(r"^# -> (.*)$", block.code, re.MULTILINE)
    assert promised, "an example must show what it prints"
    assert capsys.readouterr().out.splitlines() == promised


def test_every_block_of_code_is_one_that_is_checked() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash", "text"}
    assert sum(read(page).count("```") for page in PAGES) == 2 * len(BLOCKS)
    assert len(EXAMPLES) >= 60


def test_the_code_of_others_stands_only_where_it_is_compared_with_ours() -> None:
    using = [block.page for block in EXAMPLES if uses_others(block)]
    assert using == ["nadoo_flow/migrating.md"] * len(THEIRS)
