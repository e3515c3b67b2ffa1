"""Strings that pictures must survive, and what every picture must be."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

from nadoo_flow import Trace

HOSTILE = [
    "<script>alert('x')</script>",
    "</svg><img src=x onerror=alert(1)>",
    "]]><!-- & &amp; \"quoted\" 'single'",
    "x" * 10_000_000,
    "👩‍👩‍👧‍👦🏴‍☠️" * 50,
    "שלום עולם \u202egnorw\u202c",
    "\x00\x01\x08\x0b\x1b[31m\x7f\x85\ufffe\uffff\ud800",
    "line\nbreak\r\n\ttab\u2028end",
    "",
]

_VOID = {"br", "img", "meta", "hr", "input"}


class Unprintable:
    """Something whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


async def traced(stage: Any, items: Any) -> Trace:
    """Run a stage over items and record it."""
    trace = Trace()
    await stage.run({stage.input_key: items}, trace=trace)
    return trace


def parsed(svg: str) -> ElementTree.Element:
    """Read an SVG as XML, and check that it holds nothing that acts, or loads anything."""
    root = ElementTree.fromstring(svg.encode("utf-8"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        assert name in {"svg", "g", "text", "tspan", "title", "style", "rect", "circle", "path"}
        for attribute in element.attrib:
            assert not attribute.startswith("on")
            assert "href" not in attribute
    assert_fit(svg)
    return root


def texts(svg: str) -> list[str]:
    """List what is written in a picture, without what it shows on hover."""
    found = ["".join(text.itertext()) for text in parsed(svg).iter() if _named(text, "text")]
    # A name that stands before other words is isolated from them.
    return [text.replace("\u2068", "").replace("\u2069", ": ") for text in found]


def titles(svg: str) -> list[str]:
    """List what a picture shows on hover."""
    return [
        "".join(element.itertext()) for element in parsed(svg).iter() if _named(element, "title")
    ]


def count_of(svg: str, name: str, **attributes: str) -> int:
    """Count the elements of a name with certain attributes."""
    return sum(
        _named(element, name)
        and all(
            element.get(key.strip("_").replace("_", "-")) == value
            for key, value in attributes.items()
        )
        for element in parsed(svg).iter()
    )


def _named(element: ElementTree.Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


def assert_fit(markup: str) -> None:
    """Check that nothing reorders text, is no character at all, or is far too long."""
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e]", markup
    )
    assert max(map(len, re.split(r"[<>]", markup))) < 1_500


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        for name, _ in attrs:
            assert not name.startswith("on")
            assert name not in ("href", "src")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags_of(html: str) -> set[str]:
    """Read HTML, check that it is well nested and loads nothing, and return its tags."""
    reader = _Tags()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert_fit(html)
    return set(reader.seen)
