"""One full poll: CPU, memory, GPU, desktop and the processes of two sessions."""

from __future__ import annotations

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


def run(options: Namespace) -> list[Report]:
    with LabProcess(min(_SERVERS, options.servers)) as lab:
        name, settings = next(iter(lab.connections.items()))
        gateway = lab.gateway()
        launches = _start_two(gateway, name)
        script = poll_script([launch.pid for launch in launches])

        def ours(calls: int) -> None:
            for _ in range(calls):
                gateway.observe(name, launches)

        pypsrp, ansible = Pypsrp(settings, script), Ansible(lab.connections, script)
        pywinrm = Pywinrm(settings, script)
        calls = max(1, options.calls // 10)
        costs = compare(
            lab,
            [
                Contender(pywinrm.name, pywinrm.call, calls),
                Contender(pypsrp.name, pypsrp.call, calls),
                Contender(OURS, ours, options.calls),
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
