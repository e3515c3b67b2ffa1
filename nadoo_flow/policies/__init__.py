"""Policies: functions from node to node, applied with ``node.pipe(...)``, left first (innermost).

``node.pipe(timeout(5), retry(attempts=3))`` gives each try five seconds;
``node.pipe(retry(attempts=3), timeout(5))`` gives all tries together five seconds. The recommended
stack, from the inside out, is ``timeout``, ``limit`` or ``rate_limit``, ``retry``, ``fallback``:
a try that waits for its turn does not use up its time, and each try takes its own turn.
"""

from .fallback import fallback
from .limit import limit
from .limits import AdaptiveLimit, ConcurrencyLimit
from .rate_limit import rate_limit
from .retry import retry
from .timeout import timeout

__all__ = [
    "AdaptiveLimit",
    "ConcurrencyLimit",
    "fallback",
    "limit",
    "rate_limit",
    "retry",
    "timeout",
]
