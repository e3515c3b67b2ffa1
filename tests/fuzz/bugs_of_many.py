"""Bugs in how many outputs of an item are pulled and emitted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from nadoo_flow.nodes.many import has_given_outputs
from nadoo_flow.policies import ConcurrencyLimit, limit
from nadoo_flow.streams import are_async, expand
from nadoo_flow.streams.operators.pulling import Pulling
from nadoo_flow.streams.places import Places, Taker

from .replacing import Planting, replaced, replaced_everywhere

work_module: Any = sys.modules[are_async.__module__]
_Expansion: Any = sys.modules[expand.__module__]._Expansion  # type: ignore[attr-defined]
_Hold: Any = sys.modules[limit.__module__]._Hold  # type: ignore[attr-defined]


def held_outputs_end_with_their_item() -> AbstractContextManager[None]:
    """Forget what waits for an earlier item when the item that has given it ends."""
    end = Pulling._end

    def end_and_forget(pulling: Any, parent: Any) -> None:
        parent.held.clear()
        end(pulling, parent)

    return replaced(Pulling, "_end", end_and_forget)


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
    give = Pulling._give

    def give_at_once(pulling: Any, parent: Any, output: Any) -> None:
        ordered, pulling._ordered = pulling._ordered, False
        give(pulling, parent, output)
        pulling._ordered = ordered

    return replaced(Pulling, "_give", give_at_once)


def generators_are_left_open() -> AbstractContextManager[None]:
    """Leave a generator of outputs open that is left early."""
    return replaced(work_module, "is_closing", lambda: True)


def seen_items_come_again() -> AbstractContextManager[None]:
    """Forget which keys were seen in an expansion."""
    return replaced(_Expansion, "_is_new", lambda expansion, key: True)


def items_do_not_expand() -> AbstractContextManager[None]:
    """Ask for the outputs of the items of the source, and for no others."""
    accept = _Expansion._accept

    def accept_once(expansion: Any, key: Any, value: Any) -> None:
        if expansion._unfinished:
            expansion._observer.on_next((next(expansion._numbers), value))
        else:
            accept(expansion, key, value)

    return replaced(_Expansion, "_accept", accept_once)


def tries_come_after_outputs() -> AbstractContextManager[None]:
    """Try an item again, or another node, after the first output has gone out."""
    return replaced_everywhere(has_given_outputs, lambda value: False)


def permits_are_held_while_outputs_wait() -> AbstractContextManager[None]:
    """Give no permit back while outputs wait for demand."""
    return replaced(Pulling, "_wait_for_place", lambda self, parent: self._places.wait(parent))


@contextmanager
def permits_are_given_back_twice() -> Iterator[None]:
    """Give a permit back at the end too, if it was given back before, to a limit that takes it."""
    give_back, take_back = _Hold.give_back, ConcurrencyLimit._give_back

    def forget_and_give_back(hold: Any) -> None:
        give_back(hold)
        hold._ended = False

    def take_any_back(shared: ConcurrencyLimit) -> None:
        if shared.in_use < 1:
            shared.in_use -= 1
        else:
            take_back(shared)

    with (
        replaced(_Hold, "give_back", forget_and_give_back),
        replaced(ConcurrencyLimit, "_give_back", take_any_back),
    ):
        yield


BUGS: dict[Planting, str] = {
    **dict.fromkeys(
        (
            held_outputs_end_with_their_item,
            places_are_kept,
            places_are_unlimited,
            outputs_overtake_each_other,
            generators_are_left_open,
        ),
        "kind='flat_map'",
    ),
    **dict.fromkeys((seen_items_come_again, items_do_not_expand), "kind='expand'"),
    tries_come_after_outputs: "Around\\(kind='(retry|fallback)'",
    # Two stages that want the same permits, and a consumer who is not handed all at once.
    permits_are_held_while_outputs_wait: (
        "way='(stream|observe|as_op).*Around\\(kind='limit'.*Around\\(kind='limit'"
    ),
    permits_are_given_back_twice: "Around\\(kind='limit'",
}
