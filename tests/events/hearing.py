"""Ways to hear what happens."""

from __future__ import annotations

from typing import Any

from nadoo_flow import Event


def heard(source: Any) -> list[Event]:
    """Subscribe to the events of a processor or stage."""
    events: list[Event] = []
    source.events.subscribe(events.append)
    return events


def shown(events: list[Event]) -> list[str]:
    """Write events in short: what happened to which item of which stage, when."""
    return [f"{e.time:g} {e.stage} {e.index} {e.kind}" for e in events]
