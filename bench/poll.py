"""One full poll: CPU, memory, GPU, desktop and the processes of two sessions.

Ours tells CPU use between two polls, so the servers are polled in turn with a
pause in between, as a broker does; the pause is shorter than a broker's.
"""

from __future__ import annotations

import time
from argparse import Namespace

from bench.cost import Contender, compare
from bench.lab import LabProcess
from bench.peers import Ansible, Pypsrp, Pywinrm
from bench.polling import poll_script
from bench.report import COLUMNS, Goal, Report, cost_rows
from orchestrator.domain.launch import Launch, LaunchOrder
from orchestrator.lab.fleet import FREECIV
from orchestrator.transport import WinrmGateway

OURS = "ours, WQL"
_SERVERS = 20


_PAUSE = 2.5
"""Seconds between two polls of a server; a broker's are 10."""

_WARM = 5
"""Polls until a server's CPU use needs no question of its own any more."""


def run(options: Namespace) -> list[Report]:
    with LabProcess(min(_SERVERS, options.servers)) as lab:
        name, settings = next(iter(lab.connections.items()))
        gateway = lab.gateway()
        ours = Polls(gateway, list(lab.connections))
        for _ in range(_WARM):
            ours.call(len(lab.connections))
        script = poll_script([launch.pid for launch in ours.launches[name]])
        pypsrp, ansible = Pypsrp(settings, script), Ansible(lab.connections, script)
        pywinrm = Pywinrm(settings, script)
        calls = max(1, options.calls // 10)
        costs = compare(
            lab,
            [
                Contender(pywinrm.name, pywinrm.call, calls),
                Contender(pypsrp.name, pypsrp.call, calls),
                Contender(OURS, ours.call, options.calls),
            ],
            options.rounds,
        )
        if options.ansible_rounds:
            everywhere = Contender(ansible.name, ansible.call, len(lab.connections), True)
            costs |= compare(lab, [everywhere], options.ansible_rounds)
        gateway.close()
        pypsrp.close()
        ansible.close()
    ours_cpu = costs[OURS].cpu
    goals = [
        Goal(f"client CPU, ours : {name}", ours_cpu / costs[name].cpu, limit)
        for name, limit in ((pywinrm.name, 1 / 10), (ansible.name, 1 / 200))
        if name in costs
    ]
    goals.append(Goal("processes started on the server", costs[OURS].processes, 0))
    title = "One full poll: CPU, memory, GPU, desktop, two sessions"
    return [Report(title, COLUMNS, cost_rows(costs, OURS), goals)]


class Polls:
    """Servers with two games each, polled in turn."""

    def __init__(self, gateway: WinrmGateway, servers: list[str]) -> None:
        self.launches = {server: _start_two(gateway, server) for server in servers}
        self._gateway = gateway
        self._servers = servers
        self._next = 0
        self._began = 0.0

    def call(self, calls: int) -> float:
        """Poll so often; the seconds slept."""
        slept = 0.0
        for _ in range(calls):
            if self._next == 0:
                pause = max(0.0, self._began + _PAUSE - time.monotonic())
                time.sleep(pause)
                slept += pause
                self._began = time.monotonic()
            server = self._servers[self._next]
            self._gateway.observe(server, self.launches[server])
            self._next = (self._next + 1) % len(self._servers)
        return slept


def _start_two(gateway: WinrmGateway, server: str) -> list[Launch]:
    """Two games."""
    orders = [
        LaunchOrder(
            f"bench-{number}",
            "process",
            FREECIV,
            8600 + 2 * number,
            8601 + 2 * number,
            arguments=(f"--seat={number}",),
            ready="process",
            ready_timeout=10,
        )
        for number in range(2)
    ]
    return [gateway.launch(server, order).launch for order in orders]
