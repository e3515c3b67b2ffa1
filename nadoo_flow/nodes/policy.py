"""What a policy is: a function from node to node, and no node itself, though both can be called."""

from __future__ import annotations

import inspect

from reactivex import Observable


class PolicyMark:
    """Base of the policies that this library makes, by which they are known from functions.

    A policy that is any other function cannot be told from a function that is to become a node.
    """


def refuse_uncalled(policy: object) -> None:
    """Refuse a function of this package in the place of the policy that it would return."""
    package = __name__.partition(".")[0]
    # A function that exec() has made may have no module.
    if inspect.isfunction(policy) and str(policy.__module__).partition(".")[0] == package:
        name = policy.__name__
        raise TypeError(
            f"a policy must be called with its settings before pipe() gets it, got {name}; "
            f"write pipe({name}(...))"
        )


def hint_at_operator(value: object) -> str:
    """Return a hint for an error message where an operator of Rx took the place of a policy."""
    if not isinstance(value, Observable):
        return ""
    return "; an operator of Rx belongs behind stage.observe(source)"
