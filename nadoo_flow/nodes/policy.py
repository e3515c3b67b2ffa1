"""What a policy is: a function from node to node, and no node itself, though both can be called."""

from __future__ import annotations


class PolicyMark:
    """Base of the policies that this library makes, by which they are known from functions.

    A policy that is any other function cannot be told from a function that is to become a node.
    """
