"""Bugs in how many outputs of an item are pulled and emitted."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from nadoo_flow.streams import are_async, flat_map_many
from nadoo_flow.streams.places import Places, Taker

from .replacing import Planting, replaced

many_module: Any = sys.modules[flat_map_many.__module__]
work_module: Any = sys.modules[are_async.__module__]
_Pulling: Any = many_module._Pulling


def held_outputs_end_with_their_item() -> AbstractContextManager[None]:
    """Forget what waits for an earlier item when the item that has given it ends."""
    end = _Pulling._end

    def end_and_forget(pulling: Any, parent: Any) -> None:
        parent.held.clear()
        end(pulling, parent)

    return replaced(_Pulling, "_end", end_and_forget)


def places_are_kept() -> AbstractContextManager[None]:
    """Give no place back that an item needs no more."""

    def give_back(places: Places, taker: Taker) -> None:
        taker.has_place = False

    return replaced(Places, "give_back", give_back)


def places_are_unlimited() -> AbstractContextManager[None]:
    """Let an item take a place whether or not one is free."""

    def take(places: Places, taker: Taker) -> bool:
        places._run.outstanding += 1
        taker.has_place = True
        return True

    return replaced(Places, "take", take)


def outputs_overtake_each_other() -> AbstractContextManager[None]:
    """Emit the outputs of each item at once, where they are to be in order too."""
    give = _Pulling._give

    def give_at_once(pulling: Any, parent: Any, output: Any) -> None:
        ordered, pulling._ordered = pulling._ordered, False
        give(pulling, parent, output)
        pulling._ordered = ordered

    return replaced(_Pulling, "_give", give_at_once)


def generators_are_left_open() -> AbstractContextManager[None]:
    """Leave a generator of outputs open that is left early."""
    return replaced(work_module, "is_closing", lambda: True)


BUGS: dict[Planting, str] = dict.fromkeys(
    (
        held_outputs_end_with_their_item,
        places_are_kept,
        places_are_unlimited,
        outputs_overtake_each_other,
        generators_are_left_open,
    ),
    "kind='flat_map'",
)
