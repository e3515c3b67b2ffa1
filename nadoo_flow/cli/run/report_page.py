"""The page of a report: one file of HTML, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..._support.text import shorten_and_escape

LONGEST_TITLE = 200


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        title: Its heading; what comes before the first heading has none.
        html: Its content.
        is_wide: Whether it is a picture that a narrow screen scrolls sideways.
    """

    title: str
    html: str
    is_wide: bool = False


_STYLE = """
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #fff; --ink: #1b1f24; --soft: #59626d;
  --line: #d9dde3; font: 16px/1.45 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Noto Sans",
  sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ground: #101317; --card: #191d23; --ink: #e6e9ee;
  --soft: #a0a9b5; --line: #313842; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 1rem; background: var(--ground);
  color: var(--ink); font-variant-numeric: tabular-nums; }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 .6rem; }
p { margin: .2rem 0; overflow-wrap: anywhere; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  margin: 1rem 0; padding: 1rem; overflow-x: auto; }
section table { font-size: .9rem; }
summary { cursor: pointer; padding: .3rem 0; }
section svg { min-width: 26rem; }
section td:last-child { min-width: 15rem; }
.wide svg { width: 100%; height: auto; min-width: 46rem; }
@media print { body { background: none; } section { break-inside: avoid; } }
"""

# Nothing is loaded, and nothing runs, whatever a text of a stranger should contain.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render_page(title: str, lines: Iterable[str], sections: Iterable[Section]) -> str:
    """Render the page.

    Args:
        title: What ran.
        lines: What is said of it below the title.
        sections: The parts; those without content are left out.
    """
    name = shorten_and_escape(title, LONGEST_TITLE)
    said = "".join(f"<p><bdi>{shorten_and_escape(line, 500)}</bdi></p>" for line in lines)
    parts = "".join(map(_render_section, sections))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head>\n"
        f"<body><header><h1><bdi>{name}</bdi></h1>{said}</header>\n<main>{parts}</main></body></html>\n"
    )


def _render_section(section: Section) -> str:
    if not section.html:
        return ""
    kind = ' class="wide" tabindex="0"' if section.is_wide else ""
    return f"<section{kind}><h2>{section.title}</h2>{section.html}</section>\n"
