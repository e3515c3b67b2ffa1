"""Nodes: what a node is, what passes through it, and how it is executed safely.

``context`` holds inputs and results, ``node`` the base class, functions as nodes and pipelines,
``parallel`` several nodes on one input, ``execution`` the one place in which whatever a node does
becomes a result.

It may import ``events``, ``streams``, ``drawing``, ``errors`` and ``_support``.
"""

from .context import NodeContext, NodeResult, WorkflowContext
from .node import BaseNode, FunctionNode, NodeLike, Pipeline, Policy
from .parallel import ParallelNode, ParallelStrategy

__all__ = [
    "BaseNode",
    "FunctionNode",
    "NodeContext",
    "NodeLike",
    "NodeResult",
    "ParallelNode",
    "ParallelStrategy",
    "Pipeline",
    "Policy",
    "WorkflowContext",
]
