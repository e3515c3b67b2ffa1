"""Pictures in HTML, of which a notebook that is not trusted shows only what is harmless."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser

import pytest

from nadoo_flow import BatchProcessor, MapNode, Trace
from nadoo_flow.tracing.marbles import Marbles
from nadoo_flow.tracing.timeline import Timeline

from ..stand_ins import double, slowly


class Untrusting(HTMLParser):
    """Reads HTML as JupyterLab shows it if it is not trusted: without SVG and style sheets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words = ""
        self.images: list[str] = []
        self._unseen: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attributes)["src"] or "")
        elif tag == "style" or self._unseen or ("hidden", "hidden") in attributes:
            self._unseen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            assert self._unseen.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words += data


@pytest.fixture
async def trace() -> Trace:
    trace = Trace()
    await MapNode("map", double).run({"items": [1, 2]}, trace=trace)
    return trace


@pytest.mark.parametrize("kind", [Marbles, Timeline])
async def test_where_it_is_not_trusted_an_image_is_shown_and_no_words(
    trace: Trace, kind: type[Marbles | Timeline]
) -> None:
    drawn = trace.marbles() if kind is Marbles else trace.timeline()
    shown = Untrusting(drawn._repr_html_())
    assert shown.words == ""
    (source,) = shown.images
    head, data = source.split(",")
    assert head == "data:image/svg+xml;base64"
    assert b64decode(data).decode() == drawn.svg


async def test_where_it_is_trusted_the_picture_itself_is_shown(trace: Trace) -> None:
    drawn = trace.marbles()
    html = drawn._repr_html_()
    assert f'<div class="nadoo-live" hidden="hidden">{drawn.svg}</div>' in html
    assert re.findall(r"\.nadoo-(\w+)\{display:(\w+)!important\}", html) == [
        ("live", "block"),
        ("still", "none"),
    ]


async def test_a_summary_that_is_not_trusted_leaves_the_words_of_its_picture_out() -> None:
    results = await BatchProcessor(slowly).batch([1, "a"])
    trusted = results._repr_html_()
    words = Untrusting(trusted).words
    assert "latencies" in trusted
    assert "latencies" not in words
    assert "TypeError" in words
