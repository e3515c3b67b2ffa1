"""Print what endless runs take from the machine, each in a process of its own.

Usage: ``python -m tests.embedding [EVENTS]``
"""

from __future__ import annotations

import json
import subprocess
import sys

from .long_run import PIPELINES

events = sys.argv[1] if len(sys.argv) > 1 else "1000000"
for pipeline in PIPELINES:
    command = [sys.executable, "-m", "tests.embedding.long_run", pipeline, events]
    used = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    print(pipeline, *(f"{name} {value}" for name, value in used.items()), sep=", ", flush=True)
