"""Contract: the rules of a run, checked for a policy or a stage of one's own.

``rules`` has their words. ``searching`` has Hypothesis look for a case in which one is broken.
``policy_checks`` have a function for each rule, which ``check_policy`` makes in turn.
"""

from .check_policy import check_policy
from .rules import BrokenRuleError

__all__ = ["BrokenRuleError", "check_policy"]
