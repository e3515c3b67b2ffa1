"""Links from each name of the package to where it is described."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pdoc.render_helpers
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from rooms import list_names

ROOT = "nadoo_flow"
CLASS = re.compile(r"&lt;class &#(?:39|x27);(?:\w+\.)*(\w+)&#(?:39|x27);&gt;")
INSIDE_LINK = re.compile(r"(<a [^>]*><code>)<a [^>]*>(.*?)</a>(</code></a>)")
NAME = re.compile(r"(?P<tag><code>|<span class=\"n\">)(?P<name>[A-Z]\w+)(?P<end></(?:code|span)>)")


class Offered(NamedTuple):
    """A name that the package itself offers, and the room that describes it."""

    name: str
    room: str
    summary: str


class Links:
    """Knows the room of each name, whereas pdoc links a name only on its own page.

    Attributes:
        room_of: The room that describes a name.
        offered: What the package itself offers.
    """

    def __init__(self, rooms: Sequence[str]) -> None:
        self.room_of: dict[str, str] = {}
        for room in rooms[1:]:
            for name in list_names(room):
                # A name that two rooms offer is described by the one that defines it.
                value = getattr(importlib.import_module(room), name)
                if getattr(value, "__module__", room).startswith(room):
                    self.room_of[name] = room
                self.room_of.setdefault(name, room)
        self.offered = [self._describe(name) for name in list_names(ROOT)]

    def _describe(self, name: str) -> Offered:
        value: Any = getattr(importlib.import_module(ROOT), name)
        return Offered(name, self.room_of[name], value.__doc__.partition("\n")[0])

    @pass_context
    def linkify(
        self, context: Context, code: str, namespace: str = "", shorten: bool = True
    ) -> Markup:
        """Link names as pdoc does, and then those of other pages."""

        def link(found: re.Match[str]) -> str:
            return f"{found['tag']}{self.linkify_name(context, found['name'])}{found['end']}"

        linked = pdoc.render_helpers.linkify(context, code, namespace, shorten)
        linked = NAME.sub(link, CLASS.sub(r"\1", linked))
        return Markup(INSIDE_LINK.sub(r"\1\2\3", linked))

    @pass_context
    def linkify_name(self, context: Context, name: str) -> Markup:
        """Link a name, or one inside a class, to its description, if it has one."""
        outer, _, inner = name.partition(".")
        if outer not in self.room_of:
            return Markup(name)
        page = pdoc.render_helpers.relative_link(context["module"].modulename, self.room_of[outer])
        return Markup(f'<a href="{page}#{name}">{inner or name}</a>')
