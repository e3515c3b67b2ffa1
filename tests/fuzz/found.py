"""Cases that random runs have found, made small; they stay mended."""

from __future__ import annotations

from .case import (
    FOREVER,
    Act,
    Around,
    Batch,
    Case,
    Disk,
    Ending,
    Leaf,
    ManyLeaf,
    Policy,
    Several,
    Source,
    Stage,
    Watch,
    Work,
)


def _cancelled(work: Work, limit: int = 2, seconds: float = 0.05) -> Case:
    """End a batch from outside, whatever runs in it."""
    return Case(0, "batch", Batch(work, limit), Source(), Ending("cancel", 0, seconds))


_RAISES_WHEN_CANCELLED = Leaf("first", acts=(Act("raise_in_clean_up", FOREVER, "ValueError"),))
_SWALLOWS_ITS_CANCEL = Leaf("first", acts=(Act("swallow", FOREVER),))
_EXITS = Leaf("first", acts=(Act("raise", 0.0, "Exit"),))
_NEVER_ENDS = Leaf("second", acts=(Act("forever"),))
_A_SECOND_AND_ONE = ((Act("clean", 1.0),), (Act(), Act()))
_SWALLOWS_AND_STAYS = ((Act("swallow", FOREVER), Act("forever")),)
_FOUR_NONE_AND_FIVE = ((Act(),) * 5, (Act(),), (Act(), Act("block"), *(Act(),) * 4))
_RAISES_ODDLY = ((Act("raise", 0.0, "StopAsyncIteration"),),)
_ONE_AND_AN_EXIT = ((Act(), Act("raise_later", 0.0, "GeneratorExit")),)
_IS_LATE = ((Act("swallow_and_uncancel", 0.5), Act()),)
_FAILS_AT_ONCE = ((Act("raise", 0.0, "ValueError"), Act()),)
_SWALLOWS_BEFORE_TWO = ((Act("swallow"), Act(), Act()),)

FOUND: dict[str, Case] = {
    "a fallback is not asked after the end of the run": _cancelled(
        Policy("fallback", _RAISES_WHEN_CANCELLED, 0.0, (_NEVER_ENDS,))
    ),
    "a try is the last after the end of the run": _cancelled(
        Policy("retry", _RAISES_WHEN_CANCELLED, 3.0)
    ),
    "a pipeline goes no further after the end of the run": _cancelled(
        Several("pipeline", (_SWALLOWS_ITS_CANCEL, _NEVER_ENDS))
    ),
    "an end that comes with a cancel of the node's own is no part of it": _cancelled(
        Leaf("itself", acts=(Act("cancel_itself", FOREVER),)), 1, 0.0
    ),
    "a chunk is given out before a GeneratorExit of the inputs": Case(
        0,
        "batch_in_chunks",
        Batch(Leaf("any")),
        Source("iterable", 5, ((5, Act("raise", 0.0, "GeneratorExit")),)),
        Ending(),
    ),
    "a limit need not be reached before a checkpoint fails": Case(
        0,
        "batch",
        Batch(Leaf("any", acts=(Act("sleep", 0.5),)), 1),
        Source(),
        Ending(),
        disk=Disk(fails_at=1),
    ),
    "a close from another task raises an interrupt of the run there": Case(
        0,
        "lanes",
        Batch(Several("race", (_EXITS, Leaf("second", acts=(Act("clean", FOREVER),)))), 1),
        Source("async_generator", 1),
        Ending("aclose_elsewhere", 1, 0.7),
    ),
    "a stage that stays apart has enough too late to end the one before it": Case(
        0,
        "run",
        (Stage("map"), Stage("operator", operators=("take",), own="class")),
        Source("generator", 3, ((2, Act("raise", 0.0, "ValueError")),)),
        Ending(),
    ),
    "an item that would have failed after a later stage has enough is not counted": Case(
        0,
        "execute",
        (
            Stage("map", Leaf("any", acts=(Act(), Act("raise", 0.0, "ValueError"))), 2, True),
            Stage("operator", operators=("take",)),
        ),
        Source(length=13),
        Ending(),
    ),
    "an iterator whose watcher has raised can be dropped": Case(
        0,
        "batch_as_completed",
        Batch(Leaf("leaf"), 1),
        Source("async_generator", 5),
        Ending("drop", 1),
        chunk=1,
        watches=(Watch("trace", fails_at=1, error="TimeoutError"),),
    ),
    "an iterator that has come to the end of an Observable can be dropped": Case(
        0,
        "stream",
        (Stage("flat_map", limit=1, many=ManyLeaf("many", acts=_FOUR_NONE_AND_FIVE)),),
        Source("cold"),
        Ending("drop", 5),
    ),
    "a drained source is not asked for more by what its end makes": Case(
        0, "as_operator", (Stage("reduce", limit=1),), Source(length=1), Ending("drain")
    ),
    "outputs that wait for an item which is not started come out before the end": Case(
        0,
        "run",
        (Stage("flat_map", keys=2, many=ManyLeaf("many", acts=_A_SECOND_AND_ONE)),),
        Source("iterator", 8),
        Ending("drain", seconds=6.0),
    ),
    "nothing more is pulled of an item that swallows the end of a drain": Case(
        0,
        "observe",
        (Stage("flat_map", limit=1, many=ManyLeaf("many", acts=_SWALLOWS_AND_STAYS)),),
        Source("cold", 1),
        Ending("drain", seconds=0.7, timeout=0.5),
    ),
    "a result that a task of its own gives in the end of a drain is recorded": Case(
        0,
        "batch_as_completed",
        Batch(_SWALLOWS_ITS_CANCEL, 1, isolate="task", keys=1),
        Source("cold", 2),
        Ending("deadline", seconds=2.2, timeout=0.5),
        watches=(Watch("events"),),
        disk=Disk(1.0),
    ),
    "a StopAsyncIteration of a generator is no end of its recorded outputs": Case(
        0,
        "stream",
        (Stage("flat_map", limit=1, many=ManyLeaf("many", "generator", _RAISES_ODDLY)),),
        Source(length=1),
        Ending(),
        disk=Disk(),
    ),
    "a GeneratorExit takes back no output that is on its way to the disk": Case(
        0,
        "stream",
        (Stage("flat_map", limit=1, many=ManyLeaf("many", acts=_ONE_AND_AN_EXIT)),),
        Source(length=1),
        Ending(),
        disk=Disk(),
    ),
    "an item that swallows the end of its run has not given all of its outputs": Case(
        0,
        "stream",
        (Stage("flat_map", limit=1, many=ManyLeaf("many", acts=_SWALLOWS_BEFORE_TWO)),),
        Source("subject", 2),
        Ending("aclose", 1),
        chunk=1,
        disk=Disk(),
    ),
    "an item whose own task is cancelled in its last step keeps its result": Case(
        0,
        "batch",
        Batch(Leaf("any", acts=(Act("cancel_itself_and_return"),)), 1, isolate="task"),
        Source(),
        Ending(),
    ),
    "an iterator that a node has tried to close can be dropped": Case(
        0,
        "batch_in_chunks",
        Batch(Leaf("leaf", acts=(Act("close"),)), keys=1),
        Source("async_generator", 8),
        Ending("drop", 1),
        chunk=1,
    ),
    "the end of a run does not break off how a generator is closed that was late": Case(
        0,
        "stream",
        (
            Stage(
                "flat_map",
                limit=1,
                many=ManyLeaf("many", acts=_IS_LATE),
                around=(
                    Around("fallback", other=ManyLeaf("many", cleans_slowly=True)),
                    Around("timeout", 0.3),
                ),
            ),
        ),
        Source("async_generator", 1),
        Ending("cancel", 1, 1.3),
        chunk=1,
    ),
    "what a fallback has given in the first run stays right in the second": Case(
        0,
        "stream",
        (
            Stage(
                "flat_map",
                limit=1,
                many=ManyLeaf("many", acts=_FAILS_AT_ONCE),
                around=(Around("fallback", other=ManyLeaf("other", acts=((Act(),),))),),
            ),
            Stage("reduce", _SWALLOWS_ITS_CANCEL, 1),
        ),
        Source("generator", 1),
        Ending("cancel", 1, 2.2),
        chunk=1,
        disk=Disk(),
    ),
}
