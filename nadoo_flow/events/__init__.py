"""Events: the steps of the items in a run, and how they are emitted to observers.

In a run that is watched a stage emits an :class:`Event` at each step of an item
(``stage_reporter``, ``item_work``). It goes to the trace of the run, and to the observers of
``events`` of the processor or stage (``run_reporter``). A run that is not watched makes no events.
Neither does one that only a trace watches: what happens is added to its log (``logged_work``),
which makes the events when they are read (``event_log``).

An instrument follows the items of a run from inside their contexts, with or without events
(``instrument``). A run that is only metered makes no events: its stages count in plain numbers
(``meter``), which readers and progress bars sample when they like (``run_meter``, ``progress``).

It may import ``streams``, ``errors`` and ``_support``.
"""

from .event import Event, ProgressArgument, RunInfo, StageInfo, Watcher, WatchOptions
from .instrument import (
    Carrier,
    Instrument,
    Instruments,
    ItemEnd,
    RunFollower,
    StageFollower,
    find_instrument_around,
    make_carriers,
    of_all_runs,
    readers,
)
from .item import ItemPlace, find_item, note_failure, note_usage
from .item_end import DROPPED, FINISHED
from .meter import BOUNDS, Failure, StageMeter
from .observable import Events, HasEvents, find_events, find_instrument
from .run_meter import MeterReader, RunMeter
from .run_reporter import RunReporter, start_reporting
from .stage_reporter import StageReporter

__all__ = [
    "BOUNDS",
    "DROPPED",
    "FINISHED",
    "Carrier",
    "Event",
    "Events",
    "Failure",
    "HasEvents",
    "Instrument",
    "Instruments",
    "ItemEnd",
    "ItemPlace",
    "MeterReader",
    "ProgressArgument",
    "RunFollower",
    "RunInfo",
    "RunMeter",
    "RunReporter",
    "StageFollower",
    "StageInfo",
    "StageMeter",
    "StageReporter",
    "WatchOptions",
    "Watcher",
    "find_events",
    "find_instrument",
    "find_instrument_around",
    "find_item",
    "make_carriers",
    "note_failure",
    "note_usage",
    "of_all_runs",
    "readers",
    "start_reporting",
]
