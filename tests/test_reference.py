"""The reference: each public name is described in full, its examples run, and the site is whole."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import importlib.util
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import griffe
import pytest

import nadoo_flow
from nadoo_flow.testing import VirtualTimeLoop

from .test_public_api import MODULES

BUILDER = Path(__file__).parent.parent / ".ci" / "docs"
EXECUTORS = "nadoo_flow.executors"
"""The room whose work is done elsewhere, in real time."""
FOR_OTHER_ROOMS = {
    f"nadoo_flow.{room}" for room in ("checkpoint", "dead_letters", "events", "streams")
}
"""What these offer and the package does not is called by other rooms, and needs no example."""


def _import_rooms() -> Any:
    spec = importlib.util.spec_from_file_location("rooms", BUILDER / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rooms = _import_rooms()
OFFERED = {
    f"{room}.{name}": getattr(importlib.import_module(room), name)
    for room in rooms.ROOMS[1:]
    for name in rooms.list_names(room)
}


def _described() -> Iterator[tuple[str, Any, inspect.Signature]]:
    """Give all classes, functions and methods that are offered, with their signatures."""
    for name, offered in OFFERED.items():
        if not inspect.isclass(offered):
            if inspect.isfunction(offered):
                yield name, offered, inspect.signature(offered)
            continue
        if "__init__" in _own(offered) and not getattr(offered, "_is_protocol", False):
            yield name, offered, inspect.signature(offered)
        for method, inner in _own(offered).items():
            called = getattr(inner, "__func__", inner)
            if inspect.isfunction(called) and not method.startswith("_"):
                # An override without a docstring means what the method of its base class means.
                yield f"{name}.{method}", getattr(offered, method), inspect.signature(called)


def _own(offered: type) -> dict[str, Any]:
    """Return what a class has from the package alone, and from no other class that is offered.

    What overrides a method of another package, as of an observer of Rx, means what that means.
    """
    ours = [base for base in offered.__mro__ if base.__module__.startswith("nadoo_flow")]
    foreign = [base for base in offered.__mro__ if base not in ours]
    known = {name for base in foreign for name in vars(base)} - {"__init__"}
    others = [other for other in OFFERED.values() if other is not offered]
    return {
        name: value
        for base in reversed(ours)
        if base not in others
        for name, value in vars(base).items()
        if name not in known
    }


DESCRIBED = list(_described())


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("described", "signature"), [pytest.param(*each[1:], id=each[0]) for each in DESCRIBED]
)
def test_each_argument_is_described(described: Any, signature: inspect.Signature) -> None:
    sections = griffe.parse_google(
        griffe.Docstring(inspect.getdoc(described) or ""), warnings=False
    )
    named = {
        section.kind.value: [entry.name.lstrip("*") for entry in section.value]
        for section in sections
        if section.kind.value in ("attributes", "parameters")
    }
    arguments = set(named.get("parameters", ()))
    in_all = arguments.union(named.get("attributes", ()), ["self"])
    assert signature.parameters.keys() - in_all == set()
    assert arguments - signature.parameters.keys() == set()


@pytest.mark.one_python
@pytest.mark.parametrize(
    "offered",
    [
        pytest.param(offered, id=name)
        for name, offered in OFFERED.items()
        if inspect.isclass(offered) or inspect.isfunction(offered)
        if name.rpartition(".")[0] not in FOR_OTHER_ROOMS or offered.__name__ in nadoo_flow.__all__
    ],
)
def test_what_people_call_has_an_example(offered: Any) -> None:
    assert doctest.DocTestParser().get_examples(offered.__doc__)


EXAMPLES = [
    example
    for name in sorted(MODULES.keys() - {"nadoo_flow.__main__"})
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if example.examples
]


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            example,
            id=example.name,
            marks=[pytest.mark.slow] if example.name.startswith(EXECUTORS) else [],
        )
        for example in EXAMPLES
    ],
)
def test_an_example_prints_what_it_shows(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run an example with the names of the package and of its room, as the site says."""
    real_loop = asyncio.events.new_event_loop
    make_loop = real_loop if example.name.startswith(EXECUTORS) else VirtualTimeLoop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        here = threading.current_thread() is threading.main_thread()
        return make_loop() if here else real_loop()

    monkeypatch.setattr(asyncio.events, "new_event_loop", new_event_loop)
    monkeypatch.chdir(tmp_path)
    room = importlib.import_module(".".join(example.name.split(".")[:2]))
    own = getattr(room, "__all__", vars(room))
    example.globs = {
        "__name__": "__main__",
        "asyncio": asyncio,
        **{name: getattr(nadoo_flow, name) for name in nadoo_flow.__all__},
        **{name: getattr(room, name) for name in own},
    }
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert "".join(report) == ""


class Page(HTMLParser):
    """What a page can be linked to by, and what it links to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if name == "href" and value and not value.startswith(("http:", "https:", "data:")):
                self.links.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """Build the site; a warning of pdoc ends that with an error."""
    folder = tmp_path_factory.mktemp("site").resolve()
    built = subprocess.run(
        [sys.executable, BUILDER, folder], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    assert (folder / "search.js").exists()
    return {file: Page(file) for file in folder.rglob("*.html")}


@pytest.mark.slow
@pytest.mark.one_python
class TestSite:
    def test_each_public_name_is_on_it(self, site: dict[Path, Page]) -> None:
        found = {file.stem: page.anchors for file, page in site.items()}
        public = [name.removeprefix("nadoo_flow.").split(".") for name, *_ in DESCRIBED]
        public += [name.removeprefix("nadoo_flow.").split(".") for name in OFFERED]
        missing = [path for path in public if ".".join(path[1:]) not in found[path[0]]]
        assert missing == []
        assert set(nadoo_flow.__all__) <= found["nadoo_flow"]

    def test_each_link_leads_somewhere(self, site: dict[Path, Page]) -> None:
        broken = []
        for file, page in site.items():
            for link in page.links:
                path, _, anchor = link.partition("#")
                target = site.get((file.parent / path).resolve() if path else file)
                if target is None or (anchor and anchor not in target.anchors):
                    broken.append(f"{file.name}: {link}")
        assert sorted(broken) == []
