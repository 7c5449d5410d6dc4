"""The lab as a process: obeys lines of JSON on stdin, answers each with one on stdout.

The first line it writes names its servers. It ends with its stdin.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from typing import Any

from bench.polling import PollingMachine
from bench.process import prepare
from orchestrator.lab import Fault, FaultKind, LabServer, build_computer

USER, PASSWORD = "orchestrator", "Bench-pässword-1"

_COUNTED = ("connections", "requests", "auth_legs", "shells", "commands")


class Host:
    """Some lab servers, and what may be asked of them all."""

    def __init__(self, servers: int) -> None:
        self.machines = [
            PollingMachine(build_computer(f"GAME-{number + 1:04}", seed=number))
            for number in range(servers)
        ]
        self.servers = [LabServer(machine, {USER: PASSWORD}) for machine in self.machines]

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def counts(self) -> dict[str, int]:
        """All that happened until now."""
        total: Counter[str] = Counter()
        for server in self.servers:
            total.update({name: server.stats[name] for name in _COUNTED})
        total["processes"] = sum(machine.computer.started for machine in self.machines)
        return {name: total[name] for name in (*_COUNTED, "processes")}

    def left(self) -> dict[str, int]:
        """What is there now."""
        computers = [machine.computer for machine in self.machines]
        return {
            "connections": sum(server.open_connections for server in self.servers),
            "shells": sum(len(server.open_shells) for server in self.servers),
            "enumerations": sum(server.open_enumerations for server in self.servers),
            "tasks": sum(len(computer.tasks) for computer in computers),
            "session 0 processes": sum(
                process.session_id == 0 and process.owner == USER
                for computer in computers
                for process in computer.processes()
            ),
        }

    def fault(self, server: int, action: str, kind: str, skip: int, seconds: float) -> int:
        """Let one fault happen at a server; how many wait there."""
        faults = self.servers[server].faults
        faults.add(Fault(action, FaultKind(kind), skip=skip, seconds=seconds))
        return faults.waiting

    def waiting(self) -> int:
        """Faults that have not happened yet."""
        return sum(server.faults.waiting for server in self.servers)

    def clear(self) -> int:
        """Forget the faults that have not happened; how many."""
        waited = self.waiting()
        for server in self.servers:
            server.faults.clear()
        return waited

    def obey(self, order: dict[str, Any]) -> Any:
        known = {"counts", "left", "fault", "waiting", "clear"}
        name = order.pop("do")
        if name not in known:
            raise ValueError(f"the lab's process does not know {name!r}")
        return getattr(self, name)(**order)


def main() -> None:
    prepare()
    threading.stack_size(256 * 1024)
    host = Host(int(sys.argv[1]))
    host.start()
    _say({"servers": [[s.host, s.port] for s in host.servers]})
    for line in sys.stdin:
        _say(host.obey(json.loads(line)))
    host.stop()


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
