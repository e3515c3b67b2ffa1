"""The app with the whole stack of policies, for a server whose minute is short.

Usage: ``python -m tests.apps.enricher MINUTE URL PROMPTS ANSWERS``
"""

from __future__ import annotations

import sys
from importlib import import_module

from notebooks.apps import enrich

LAG = 0.25
"""The part of a minute that a call may take to arrive."""

if __name__ == "__main__":
    # It is imported by the first call, which would take too long for such a minute.
    import_module("anyio._backends._asyncio")
    enrich.MINUTE = float(sys.argv[1])
    enrich.LAG = LAG * enrich.MINUTE
    enrich.main(*sys.argv[2:])
