"""Every link of the texts leads somewhere, without the network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .pages import LINKED, MANUAL, PACKAGE, find_anchors, find_targets, name_page, read

VERSION = r"\d+\.\d+\.\d+|Unreleased"
"""What is in brackets in a changelog without being a link."""


@pytest.mark.parametrize("page", [pytest.param(page, id=name_page(page)) for page in LINKED])
def test_every_local_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in find_targets(page):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in find_anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [pytest.param(page, id=name_page(page)) for page in LINKED])
def test_every_named_link_has_its_address(page: Path) -> None:
    text = read(page)
    named = set(re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE))
    prose = re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    used = set(re.findall(r"\[([^\]\[]+)\](?!\(|\[|: http)", prose))
    assert {name for name in used if not re.fullmatch(VERSION, name)} == named


def test_every_page_of_the_manual_is_in_its_table_of_contents() -> None:
    contents = PACKAGE / "README.md"
    listed = {(PACKAGE / path.partition("#")[0]).resolve() for path in find_targets(contents)}
    assert [name_page(page) for page in MANUAL if page not in listed | {contents}] == []


def test_every_page_leads_back_to_the_table_of_contents() -> None:
    back = {
        name_page(page)
        for page in MANUAL
        if (PACKAGE / "README.md")
        not in {(page.parent / path).resolve() for path in find_targets(page)}
    }
    assert back == {"nadoo_flow/README.md"}
