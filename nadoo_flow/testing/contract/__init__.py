"""Contract: the rules of a run, checked for a policy or a stage of one's own.

``rules`` has their words. ``searching`` has Hypothesis look for a case in which one is broken.
``policy_checks`` and ``stage_checks`` have a function for each rule, which ``check_policy`` and
``check_stage`` call in turn.
"""

from .check_policy import check_policy
from .check_stage import check_stage
from .rules import BrokenRuleError

__all__ = ["BrokenRuleError", "check_policy", "check_stage"]
