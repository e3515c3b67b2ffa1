"""The targets of the project."""

from __future__ import annotations

from .cases.crossing import BACK, PICKLING, THERE
from .cases.executors import IN_THE_LOOP, LONG, ON_DASK, ON_PROCESSES, SHORT
from .cases.further_stages import CHAIN, PIPELINE, suspending, sync
from .cases.further_stages import OWN as OWN_STAGES
from .cases.growth import watched
from .cases.keys import OURS_KEYED
from .cases.many_from_processes import OURS_FROM_PROCESSES, QUEUE_BY_HAND
from .cases.many_outputs import AIOSTREAM_MANY, OURS_MANY, QUEUE
from .cases.open_pages import OURS as OPEN_PAGES
from .cases.pipelines import BY_HAND, FUSED
from .cases.policies import FOUR, NO_POLICY
from .cases.watching import watched_by
from .cases.wide import GATHER, OURS_WIDE
from .figures import Cell, Relation, Target, added, ratio
from .model import Params
from .watchers import BAR, CHECKPOINT, DASHBOARD, SUBSCRIBER, TRACE
from .ways import BARE, CORE, CORE_BATCH, LANGCHAIN_ABATCH, OURS, OURS_BATCH, OWN, RX

NAME = "targets"
US = " us"
MEGABYTES = " MB"


def _short(ours: str) -> str:
    return ours.removeprefix("nadoo-flow").lstrip(", ")


def _per_item(node: str, contestant: str) -> Cell:
    params = {"n": 100_000, "concurrency": 10, "node": node}
    return Cell(f"per-item-{node}", contestant, params)


def _cost(text: str, limit: float, node: str, base: str) -> list[Target]:
    return [
        Target(
            f"{text}, {_short(ours)} over {base}",
            "at most",
            limit,
            ratio(_per_item(node, ours), _per_item(node, base)),
        )
        for ours in (OURS, OURS_BATCH)
    ]


def _slower(peer: str, ours: str, limit: float) -> Target:
    figure = ratio(_per_item("function", peer), _per_item("function", ours))
    return Target(f"{peer} over {_short(ours)}", "at least", limit, figure)


def _lazy(n: int, contestant: str = OURS, *, memory: bool = False) -> Cell:
    return Cell("growth", contestant, {"n": n, "concurrency": 10}, memory)


def _memory(contestant: str, fewer: int = 10_000) -> Target:
    text = f"memory at 1M lazy inputs above that at {fewer // 1000}k, {_short(contestant)}"
    few, many = (_lazy(n, contestant, memory=True) for n in (fewer, 1_000_000))
    return Target(text, "at most", 2, added(many, few), MEGABYTES)


def _outputs(contestant: str, n: int = 1_000_000, *, memory: bool = False) -> Cell:
    return Cell("many-outputs", contestant, {"n": n, "concurrency": 10}, memory)


def _outputs_from_processes(contestant: str) -> Cell:
    return Cell("many-from-processes", contestant, {"n": 1_000_000})


def _further_stage(contestant: str) -> Relation:
    one, three = (
        Cell("further-stages", contestant, {"n": 20_000, "stages": stages}) for stages in (1, 3)
    )
    return Relation(lambda more, less: (more - less) / 2, three, one)


def _stages(text: str, contestant: str, limit: float | None) -> Target:
    return Target(f"a further stage of {text}", "at most", limit, _further_stage(contestant), US)


def _above_own(text: str, contestant: str, limit: float) -> Target:
    figure = added(_further_stage(contestant), _further_stage(suspending(OWN_STAGES)))
    return Target(f"the same of {text}, above the own pool's", "at most", limit, figure, US)


def _policy(name: str, limit: float | None) -> Target:
    policy, none = (Cell("policies", one, {"n": 20_000}) for one in (name, NO_POLICY))
    return Target(f"added by {name}, nothing wrong", "at most", limit, added(policy, none), US)


def _key(keys: int) -> Target:
    keyed, plain = (Cell("keys", one, {"n": 20_000, "keys": keys}) for one in (OURS_KEYED, OURS))
    return Target(f"added by key=, {keys:,} keys", "at most", 1.0, added(keyed, plain), US)


def _watching(name: str, limit: float) -> Target:
    params = {"n": 20_000, "concurrency": 10, "node": "sync-function"}
    cell = Cell("watching", watched_by(name), params)
    return Target(f"added by {name}, to a sync function", "at most", limit, cell, US)


def _open_pages() -> Cell:
    params = {"n": 100_000, "concurrency": 10, "node": "yield", "pages": 20}
    return Cell("open-pages", OPEN_PAGES, params)


def _workers(text: str, params: Params, contestant: str, limit: float) -> Target:
    loop, workers = (Cell("executors", one, params) for one in (IN_THE_LOOP, contestant))
    text = f"items of {text}, {_short(IN_THE_LOOP)} over {_short(contestant)}"
    return Target(text, "at least", limit, ratio(loop, workers))


def _crossing(contestant: str, case: str, unit: str) -> Target:
    cell = Cell(case, contestant, SHORT)
    return Target(f"{_short(contestant)}, an item", "at most", None, cell, unit)


def _busy(contestant: str) -> Cell:
    params = {"n": 10_000, "concurrency": 100, "latency": "constant"}
    return Cell("utilisation", contestant, params)


def _two_stages(contestant: str) -> Cell:
    params = {"n": 3_000, "concurrency": 20, "stages": 2, "latency": "heavy-tailed"}
    return Cell("pipeline", contestant, params)


def _heartbeat(ours: str, *, collector: bool) -> Target:
    state = "on" if collector else "off"
    return Target(
        f"heartbeat lag, 99th percentile, {_short(ours)}, garbage collector {state}",
        "at most",
        15,
        Cell("heartbeat", ours, {"n": 100_000, "concurrency": 10, "collector": collector}),
        " ms",
    )


def _wide(contestant: str, case: str = "wide") -> Cell:
    return Cell(case, contestant, {"n": 100_000})


def _import(module: str) -> Cell:
    return Cell("import-time", f"import {module}", {"repeats": 5})


TARGETS = (
    *_cost("function that suspends once", 2.0, "function", OWN),
    *_cost("node class that suspends once", 1.5, "yield", BARE),
    *_cost("node class that never suspends", 5.0, "plain", BARE),
    *(
        Target(
            f"sync function, {_short(ours)}", "at most", 1.3, _per_item("sync-function", ours), US
        )
        for ours in (OURS, OURS_BATCH)
    ),
    _slower(CORE_BATCH, OURS_BATCH, 6),
    _slower(CORE, OURS, 5),
    _slower(RX, OURS, 20),
    _slower(LANGCHAIN_ABATCH, OURS_BATCH, 40),
    Target(
        "cost of an item at 1M over 10k, as completed",
        "at most",
        1.05,
        ratio(_lazy(1_000_000), _lazy(10_000)),
    ),
    *map(_memory, (OURS, watched(TRACE), watched(BAR), watched(CHECKPOINT))),
    # What a trace keeps, and the pages that SQLite keeps, are limited, but not used up by 10,000.
    *(_memory(watched(name), 100_000) for name in (TRACE, CHECKPOINT)),
    _stages("a Pipeline, sync function", sync(PIPELINE), 1.0),
    _stages("a Pipeline, function that suspends once", suspending(PIPELINE), 1.0),
    _stages("an own pool, function that suspends once", suspending(OWN_STAGES), None),
    _above_own("a Pipeline", suspending(PIPELINE), 1.0),
    _stages("a MapNode chain, sync function", sync(CHAIN), 1.5),
    _stages("a MapNode chain, function that suspends once", suspending(CHAIN), 1.5),
    _above_own("a MapNode chain", suspending(CHAIN), 1.5),
    _policy("limit(ConcurrencyLimit)", 0.7),
    _policy("limit(AdaptiveLimit)", 1.2),
    _policy("retry", 0.5),
    *(_policy(name, 1.5) for name in ("timeout", "circuit_breaker", "retry(budget=)", "hedge")),
    *(_policy(f"cache, a {what} input", 1.5) for what in ("new", "known")),
    *(_policy(f"rate_limit(RateBudget){what}", 1.5) for what in ("", ", estimated", ", corrected")),
    *(_policy(name, None) for name in ("fallback", "rate_limit", "in_thread, of a sync function")),
    _policy(FOUR, 4.0),
    *map(_key, (1_000_000, 50)),
    *(_watching(name, 0.8) for name in (SUBSCRIBER, TRACE, BAR)),
    _watching(CHECKPOINT, 5.0),
    _watching(DASHBOARD, 1.0),
    Target("20 open pages, added to a run", "at most", 5.0, _open_pages(), "%"),
    _workers("0.1 ms", SHORT, ON_PROCESSES, 1.7),
    _workers("5 ms", LONG, ON_PROCESSES, 1.9),
    _workers("5 ms", LONG, ON_DASK, 1.3),
    _crossing(THERE, "crossing-bytes", " bytes"),
    _crossing(BACK, "crossing-bytes", " bytes"),
    _crossing(PICKLING, "crossing-time", US),
    Target(
        "makespan over the ideal, 10,000 sleeps of 10 ms",
        "at most",
        1.03,
        _busy(OURS_BATCH),
    ),
    Target(
        "the same over the bare pool (what the loop's timers allow)",
        "at most",
        1.03,
        ratio(_busy(OURS_BATCH), _busy(BARE)),
    ),
    Target(
        "two-stage pipeline over the hand-written one",
        "at most",
        1.1,
        ratio(_two_stages(FUSED), _two_stages(BY_HAND)),
    ),
    Target(
        "one of 1M outputs of 1,000 items, FlatMapNode over a bounded queue by hand",
        "at most",
        1.5,
        ratio(_outputs(OURS_MANY), _outputs(QUEUE)),
    ),
    Target(
        "the same, aiostream over FlatMapNode",
        "at least",
        10,
        ratio(_outputs(AIOSTREAM_MANY), _outputs(OURS_MANY)),
    ),
    Target(
        "memory at 1M outputs above that at 10k",
        "at most",
        2,
        added(_outputs(OURS_MANY, memory=True), _outputs(OURS_MANY, 10_000, memory=True)),
        MEGABYTES,
    ),
    Target(
        "one of 1M outputs of 10 items, FlatMapNode on two processes over multiprocessing by hand",
        "at most",
        None,
        ratio(*map(_outputs_from_processes, (OURS_FROM_PROCESSES, QUEUE_BY_HAND))),
    ),
    *(
        _heartbeat(ours, collector=collector)
        for collector in (False, True)
        for ours in (OURS_BATCH, OURS)
    ),
    Target(
        "100,000 at once over asyncio.gather",
        "at most",
        2.5,
        ratio(_wide(OURS_WIDE), _wide(GATHER)),
    ),
    Target(
        "longest turn of the loop while 100,000 are in work at once, garbage collector off",
        "at most",
        20,
        _wide(OURS_WIDE, "wide-heartbeat"),
        " ms",
    ),
    Target(
        "import nadoo_flow over import reactivex",
        "at most",
        1.25,
        ratio(_import("nadoo_flow"), _import("reactivex")),
    ),
)
