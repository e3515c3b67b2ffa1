"""What must come of an item in one of the policies that are drawn behind all else."""

from __future__ import annotations

import math

from .act_model import Fate, Verdict
from .case import Policy


def fate_in_policy(policy: Policy, inner: Fate) -> Fate:
    """Say what becomes of an item, if it is known what becomes of it inside."""
    match policy.kind:
        case "breaker":
            # Others may have failed, or not.
            verdict = Verdict.FAILURE if inner.verdict is Verdict.FAILURE else Verdict.EITHER
            return Fate(verdict, 0, inner.most)
        case "hedge":
            return Fate(inner.verdict, inner.least, policy.number + 2 * inner.most + 10)
        case "retry_budget" | "giving_up":
            return Fate(inner.verdict, inner.least, (inner.most + 0.5) * policy.number)
        case "cache" | "shared_cache":
            return Fate(inner.verdict, 0, math.inf)
    return Fate(inner.verdict, inner.least, math.inf)
