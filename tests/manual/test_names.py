"""Every public name is on the page of its room, with a link to where it is written."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import nadoo_flow

from .pages import MANUAL, PACKAGE, read

WITHOUT_PAGE = {
    "_support": "users import nothing from it",
    "drawing": "it draws for tracing, and has no names of its own",
    "storage": "what users need of it, the codecs, is on the page of the checkpoints",
}
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
ROW = re.compile(r"^\| (.+?) \| .+ \|$", re.MULTILINE)


def find_listed(page: Path) -> dict[str, str]:
    """Return the names in the tables of names of a page, and the files that they link to."""
    _, _, names = read(page).partition("\n## Names\n")
    return {
        name: path
        for row in ROW.findall(names)
        for name, path in re.findall(r"\[`([\w.]+)(?:\(\))?`\]\(([^)]+)\)", row)
    }


def test_every_room_has_a_page() -> None:
    with_page = {path.parent.name for path in PACKAGE.glob("*/README.md")}
    assert with_page == set(ROOMS) - set(WITHOUT_PAGE)


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in WITHOUT_PAGE])
def test_each_public_name_is_on_the_page_of_its_room(room: str) -> None:
    page = PACKAGE / room / "README.md"
    public = getattr(import_module(f"nadoo_flow.{room}"), "__all__", [])
    assert sorted(set(public) - set(find_listed(page))) == []


@pytest.mark.parametrize(
    ("page", "name", "path"),
    [
        pytest.param(page, name, path, id=f"{page.parent.name}-{name}")
        for page in MANUAL
        for name, path in find_listed(page).items()
        if "." not in name
    ],
)
def test_a_name_is_linked_to_where_it_is_written(page: Path, name: str, path: str) -> None:
    written = read((page.parent / path).resolve())
    assert re.search(rf"^(?:(?:async )?def|class) {name}\b|^{name}\b.* = ", written, re.MULTILINE)


def test_each_name_of_the_package_is_in_some_table() -> None:
    listed = {name for page in MANUAL for name in find_listed(page)}
    assert sorted(set(nadoo_flow.__all__) - listed) == []
