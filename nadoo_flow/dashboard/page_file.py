"""The page: one HTML file with its style and its scripts inside."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

SCRIPTS = ("dom", "format", "charts", "stages", "runs", "main")
"""The scripts, in the order in which they use each other."""


class Page(NamedTuple):
    """The page and the headers that belong to it.

    Attributes:
        html: The file.
        headers: What a browser is to allow it: its own script and style, and nothing else.
    """

    html: str
    headers: dict[str, str]


@cache
def load_page() -> Page:
    """Put the page together."""
    folder = files(__package__) / "page"
    style = (folder / "page.css").read_text(encoding="utf-8")
    parts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = "\n".join(["'use strict';", "(() => {", *parts, "})();"])
    html = (folder / "page.html").read_text(encoding="utf-8")
    html = html.replace("/* style */", style).replace("/* script */", script)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html, {"content-security-policy": policy, **HEADERS})


HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of every answer: the URL may hold a token, and errors are for those who may see them."""


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
