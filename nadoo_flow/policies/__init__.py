"""Policies: functions from node to node, applied with ``node.pipe(...)``, left first (innermost).

``node.pipe(timeout(5), retry(attempts=3))`` gives each try five seconds;
``node.pipe(retry(attempts=3), timeout(5))`` gives all tries together five seconds. The recommended
stack, from the inside out, is ``in_thread``, ``timeout``, ``rate_limit``, ``circuit_breaker``,
``limit``, ``hedge``, ``retry``, ``cache``, ``fallback``:

- ``in_thread`` around a function that blocks, before all others.
- ``timeout`` innermost: a try that waits for its turn or a permit does not use up its time.
- ``rate_limit`` inside ``limit``: an item that has had its turn starts at once. The other way round
  it could have to wait for a permit, and start in a burst with others.
- ``circuit_breaker`` around ``rate_limit``: a call that is not made is charged nothing. Inside
  ``limit``: when the service dies, no more items have passed it than there are permits.
- ``hedge`` around these: a second execution takes its own turn and permit, and one that waits long
  for them counts as slow.
- ``retry`` around these: each try takes its own turn and permit, and holds none while it waits.
- ``cache`` around these: an item whose answer is known takes no turn and no permit, and neither do
  those who wait for the answer to an equal one.
- ``fallback`` around all: another node is asked only when no try is left. Inside the cache its
  answer would be kept as that of the node.

``stores`` are the places where a cache keeps answers. This room may import ``nodes`` and the rooms
below it.
"""

from .adaptive_limit import AdaptiveLimit
from .cache import cache
from .circuit import CircuitBreaker, CircuitChange, CircuitOpen
from .circuit_breaker import circuit_breaker
from .concurrency_limit import ConcurrencyLimit
from .fallback import fallback
from .hedge import hedge
from .in_thread import in_thread
from .limit import limit
from .rate_budget import ExceedsBudget, RateBudget
from .rate_limit import rate_limit
from .retry import retry
from .retry_budget import RetryBudget
from .stores import CacheError, CacheStore
from .timeout import timeout

__all__ = [
    "AdaptiveLimit",
    "CacheError",
    "CacheStore",
    "CircuitBreaker",
    "CircuitChange",
    "CircuitOpen",
    "ConcurrencyLimit",
    "ExceedsBudget",
    "RateBudget",
    "RetryBudget",
    "cache",
    "circuit_breaker",
    "fallback",
    "hedge",
    "in_thread",
    "limit",
    "rate_limit",
    "retry",
    "timeout",
]
