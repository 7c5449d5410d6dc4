"""A lab whose servers and games can be ended: obeys lines of JSON, as ``labhost`` does.

Its servers stand behind gates, which the inventory names instead of them. The
first line it writes says that the inventory is there; it ends with its stdin.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.gate import Gate
from bench.process import prepare
from orchestrator.lab import Lab

_PASSWORD = "Bench-pässword-1"


class Mortals:
    """Servers by the number of their place in the inventory."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.gates = [Gate(server.port) for server in lab.servers]

    def inventory_yaml(self) -> str:
        text = self._lab.inventory_yaml()
        for server, gate in zip(self._lab.servers, self.gates, strict=True):
            text = text.replace(f"ansible_port: {server.port}\n", f"ansible_port: {gate.port}\n")
        return text

    def die(self, server: int, way: str) -> None:
        self.gates[server].die(way)

    def arm(self, server: int, way: str, requests: int) -> None:
        self.gates[server].arm(way, requests)

    def revive(self, server: int) -> None:
        self.gates[server].revive()

    def died(self) -> dict[str, float]:
        """When each of the dead died."""
        moments = {str(n): gate.died_at for n, gate in enumerate(self.gates)}
        return {number: at for number, at in moments.items() if at is not None}

    def kill(self, server: int, pid: int) -> float:
        """End a process of a server; when that was."""
        computer = self._lab.computers[server]
        process = computer.process(pid)
        if process is None:
            raise ValueError(f"server {server} has no process {pid}")
        computer.exit(process, 1)
        return time.monotonic()

    def obey(self, order: dict[str, Any]) -> Any:
        name = order.pop("do")
        if name not in {"die", "arm", "revive", "died", "kill"}:
            raise ValueError(f"the lab's process does not know {name!r}")
        return getattr(self, name)(**order)


def main() -> None:
    prepare()
    threading.stack_size(256 * 1024)
    inventory = Path(sys.argv[2])
    with ExitStack() as stack:
        mortals = Mortals(stack.enter_context(Lab(int(sys.argv[1]), password=_PASSWORD)))
        for gate in mortals.gates:
            stack.callback(gate.stop)
        inventory.write_text(mortals.inventory_yaml(), encoding="utf-8")
        _say(str(inventory))
        for line in sys.stdin:
            _say(mortals.obey(json.loads(line)))


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
