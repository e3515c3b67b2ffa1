"""Nodes: what a node is, what passes through it, and how it is executed safely.

``context`` holds inputs and results, ``node`` the base class, functions as nodes and pipelines,
``parallel`` several nodes on one input, ``execution`` the one place in which whatever a node does
becomes an answer. A run binds its node once (``BaseNode._bind``) to a function of an input. That of
a function calls the function, that of a pipeline or policy calls those inside it, and that of any
other node its ``execute``. A stage that wants many outputs of an item binds it to an outlet instead
(``many``): a generator gives them one by one, and policies let them through.

It may import ``events``, ``streams``, ``drawing``, ``errors`` and ``_support``.
"""

from .context import NodeContext, NodeResult, WorkflowContext
from .micro_batch import MicroBatchNode
from .node import BaseNode, FunctionNode, NodeLike, Pipeline, Policy
from .parallel import ParallelNode, ParallelStrategy

__all__ = [
    "BaseNode",
    "FunctionNode",
    "MicroBatchNode",
    "NodeContext",
    "NodeLike",
    "NodeResult",
    "ParallelNode",
    "ParallelStrategy",
    "Pipeline",
    "Policy",
    "WorkflowContext",
]
