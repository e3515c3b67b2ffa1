"""The rules of the contract of a run that a policy or a stage of one's own can break."""

from __future__ import annotations

RULES = {
    "101": "What was pulled and not settled yet never exceeds the window, so memory stays flat on "
    "endless inputs.",
    "102": "Inputs with nothing in them, or with less than a window, come to their end like all "
    "others.",
    "103": "Signals come one after the other: no signal is delivered while another one is.",
    "104": "An error of the inputs arrives as `on_error` behind what was finished, and never out "
    "of `release()`.",
    "105": "Completion comes once, after the last lane has delivered.",
    "107": "After completion or an error there is silence.",
    "108": "After `dispose()` or `cancel()` there is silence, whatever was about to arrive.",
    "206": "An observer that has enough (`take(n)`) stops the source and whatever still runs for "
    "it.",
    "313": "A finished run keeps nothing alive, and has closed its generators.",
    "R1": "Concurrency reaches its limit wherever there are enough items, and never exceeds it.",
    "R2": "The results are those of stock `map` + `merge(max_concurrent)`, at the same times.",
    "R3": "Permits balance: whatever filters, folds or failures are in a chain, a completed run "
    "owes none.",
    "R4": "Whenever a run is cancelled, no task of it is left and every `finally` has run to its "
    "end.",
    "R6": "A context variable that one item sets is seen by no other.",
    "R20": "Threads, each with a loop of its own, may share nodes, policies and processors, also "
    "when they use them for the first time; a ConcurrencyLimit that is in use on one loop is a "
    "clear error on another.",
}
"""What each says, by its number."""


class BrokenRuleError(AssertionError):
    """A policy or a stage breaks a rule of the contract.

    Args:
        rule: The number of the rule.
        text: What was done, and what happened.

    Attributes:
        rule: The number of the rule, such as ``"R4"``.
        text: What was done, and what happened.

    Example:
        >>> print(BrokenRuleError("107", "The operator emitted an item behind its completion."))
        rule 107 is broken: After completion or an error there is silence.
        The operator emitted an item behind its completion.
    """

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"rule {rule} is broken: {RULES[rule]}\n{text}")
        self.rule = rule
        self.text = text
