"""Testing: what tests of async nodes, policies and stages need, for the tests of users.

``virtual_loop`` is the event loop whose clock jumps, and ``pytest_plugin`` gives it to tests.
``leftovers`` finds what a block of code has left running. ``flaky_service`` is a node that behaves
like a service. ``marbles`` are diagrams as inputs and as expectations, and
``recording`` shows what each stage of a chain sees. ``contract`` checks a policy or a stage of
one's own for the rules of a run.

It may import every other room, and no other room imports it.
"""

from .contract import BrokenRuleError, check_policy, check_stage
from .flaky_service import Answered, FlakyService
from .leftovers import LeftoverError, assert_nothing_left
from .marbles import Marbles, marbles
from .recording import Passage, Recording, StageRecord, record
from .service_rules import ServiceError
from .virtual_loop import DeadlockError, VirtualTimeLoop, advance, virtual_time

__all__ = [
    "Answered",
    "BrokenRuleError",
    "DeadlockError",
    "FlakyService",
    "LeftoverError",
    "Marbles",
    "Passage",
    "Recording",
    "ServiceError",
    "StageRecord",
    "VirtualTimeLoop",
    "advance",
    "assert_nothing_left",
    "check_policy",
    "check_stage",
    "marbles",
    "record",
    "virtual_time",
]
