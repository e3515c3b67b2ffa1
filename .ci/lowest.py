"""Print constraints for pip: what setup.cfg asks for, each in the lowest version it allows."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[\w-]+)>=(?P<floor>[\d.]+)(,<[\d.]+)?(;\S+)?")


def lowest_versions(setup: configparser.ConfigParser) -> dict[str, str]:
    """Find the floor of each direct requirement, the highest where extras name several."""
    floors: dict[str, str] = {}
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    for requirement in "\n".join(lists).split():
        found = REQUIREMENT.fullmatch(requirement)
        if found is None:
            raise SystemExit(f"setup.cfg: {requirement} names no lowest version")
        floors[found["name"]] = max(
            floors.get(found["name"], "0"),
            found["floor"],
            key=lambda version: [int(part) for part in version.split(".")],
        )
    return floors


def main() -> None:
    """Print one constraint a line."""
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    for name, floor in sorted(lowest_versions(setup).items()):
        print(f"{name}=={floor}")


if __name__ == "__main__":
    main()
