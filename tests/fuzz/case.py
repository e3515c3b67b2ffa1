"""What one random run consists of, as plain data that prints itself."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias

FOREVER = 1e6
"""Seconds that no run may take, so whoever sleeps so long has to be cancelled."""

CHILDLESS = 1_000
"""Items from here on have no outputs in an expansion."""

CLEAN_UP = 1.0
"""Seconds that a slow clean-up takes."""


@dataclass(frozen=True)
class Act:
    """One behaviour of the code that runs inside: see :mod:`acts`."""

    kind: str = "return"
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Leaf:
    """A function or node of a user; an item's key chooses the act."""

    name: str
    form: str = "async"
    acts: tuple[Act, ...] = (Act(),)


@dataclass(frozen=True)
class ManyLeaf:
    """A function of a user that gives many outputs; an item's key chooses the acts.

    Each act but the last comes before an output, the last one behind them all. With
    ``cleans_slowly`` an async generator takes its time when it is closed. One that ``expands``
    gives items for two generations, and with ``repeats`` each of them twice.
    """

    name: str
    form: str = "async_generator"
    acts: tuple[tuple[Act, ...], ...] = ((Act(), Act()),)
    cleans_slowly: bool = False
    expands: bool = False
    repeats: bool = False

    def acts_for(self, key: int) -> tuple[Act, ...]:
        """Return what is done with an item."""
        if self.expands and key >= CHILDLESS:
            return (Act(),)
        return self.acts[key % len(self.acts)]


@dataclass(frozen=True)
class Around:
    """A policy around a function of many outputs; equal ones of some kinds share one object."""

    kind: str
    number: float = 0.0
    other: ManyLeaf | None = None


@dataclass(frozen=True)
class Several:
    """Nodes one after the other, or at the same time by a strategy's name.

    In a ``"class_pipeline"`` or ``"instance_pipeline"`` those behind the first are a pipeline of
    their own, whose class or instance overrides ``execute``, joined to the first with ``|``.
    """

    how: str
    nodes: tuple[Work, ...]


@dataclass(frozen=True)
class Policy:
    """A policy around a node; those with a ``number`` below and equal fields share one object."""

    kind: str
    node: Work
    number: float = 0.0
    others: tuple[Work, ...] = ()


@dataclass(frozen=True)
class Nested:
    """A list of ``length`` items of the node's own, run through stages inside the node."""

    length: int
    stages: tuple[Stage, ...]


Work: TypeAlias = "Leaf | Several | Policy | Nested"


@dataclass(frozen=True)
class Stage:
    """A list stage; ``operators`` are names in :mod:`rx_operators`.

    ``own`` says whether its ``"class"`` or ``"instance"`` overrides ``execute``. Its items have so
    many different ``keys``, if any. A ``"flat_map"`` has a function ``many``, with policies
    ``around`` it, the innermost first; so has an ``"expand"``, which emits so many items at
    ``most``, unless that is 0.
    """

    kind: str
    work: Work = Leaf("none")
    limit: int = 2
    continue_on_error: bool = False
    isolate: str = "context"
    operators: tuple[str, ...] = ()
    own: str = ""
    keys: int = 0
    many: ManyLeaf | None = None
    around: tuple[Around, ...] = ()
    most: int = 0

    @property
    def stays_apart(self) -> bool:
        """Whether it is executed by itself, and is part of no chain."""
        return self.kind == "pass" or bool(self.own)


@dataclass(frozen=True)
class Batch:
    """A BatchProcessor; ``own_single`` is the form of its own ``process_single``, if it has one.

    Its inputs have so many different ``keys``, if any. Failures go to ``letters``: a function that
    is ``"sync"``, ``"async"`` or ``"fails"``.
    """

    work: Work
    limit: int = 2
    continue_on_error: bool = True
    isolate: str = "context"
    own_single: str = ""
    keys: int = 0
    letters: str = ""


@dataclass(frozen=True)
class Source:
    """The numbers from 0; ``acts`` happen before the items at the positions, -1 is the clean-up."""

    kind: str = "list"
    length: int | None = 3
    acts: tuple[tuple[int, Act], ...] = ()


@dataclass(frozen=True)
class Ending:
    """How the run is ended: after so many items, or so many seconds.

    A ``"drain"``, and a ``"deadline"``, have a ``timeout`` for what is in work then; ``"failures"``
    is a budget of so many items.
    """

    kind: str = "to_end"
    items: int = 0
    seconds: float = 0.0
    timeout: float | None = None


@dataclass(frozen=True)
class Watch:
    """A watcher of the run, a ``"trace"`` or one of ``"events"``, and when it raises, if ever."""

    kind: str
    fails_at: int = 0
    error: str = ""


@dataclass(frozen=True)
class Disk:
    """Where a checkpoint is kept: how long each call takes, and at which one it fails, if ever."""

    seconds: float = 0.0
    fails_at: int = 0


@dataclass(frozen=True)
class Case:
    """A run: of what, how it is consumed, over what, and how it is ended.

    A ``mistake`` names a part in :mod:`refusals` that is put beside it, and the place.
    A case with a ``disk``, of a batch or a chain, is run twice, the second time with what the first
    has recorded.
    An ``indexed`` one emits each output with the index of its source item.
    """

    seed: int
    way: str
    what: Batch | tuple[Stage, ...]
    source: Source
    ending: Ending
    ordered: bool = False
    chunk: int = 2
    slow: float = 0.0
    eager: bool = False
    mistake: tuple[str, str] | None = None
    watches: tuple[Watch, ...] = ()
    disk: Disk | None = None
    is_second: bool = False
    indexed: bool = False


def describe_case(value: object, indent: int = 0) -> str:
    """Write a case with what differs from the defaults, one idea a line."""
    if not is_dataclass(value) or isinstance(value, type):
        return _describe_plain(value, indent)
    parts = []
    for field in fields(value):
        part = getattr(value, field.name)
        if part != field.default:
            parts.append(f"{field.name}={describe_case(part, indent + 4)}")
    line = f"{type(value).__name__}({', '.join(parts)})"
    if len(line) + indent <= 96 and "\n" not in line:
        return line
    pad = " " * (indent + 4)
    return f"{type(value).__name__}(\n{pad}" + f",\n{pad}".join(parts) + f"\n{' ' * indent})"


def _describe_plain(value: object, indent: int) -> str:
    if not isinstance(value, tuple):
        return repr(value)
    items = [describe_case(item, indent + 4) for item in value]
    line = f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    if len(line) + indent <= 96 and "\n" not in line:
        return line
    pad = " " * (indent + 4)
    return f"(\n{pad}" + f",\n{pad}".join(items) + f",\n{' ' * indent})"
