"""One script call, warm: what it costs, and how many requests the caller waits for.

Ours sends a real script of the product with its bootstrap; the others run the
shortest script there is.
"""

from __future__ import annotations

from argparse import Namespace

from bench.cost import Contender, compare
from bench.lab import LabProcess
from bench.peers import Ansible, Pypsrp, Pywinrm
from bench.report import COLUMNS, Goal, Report, cost_rows
from orchestrator.transport.tracing import CallTrace

OURS = "ours, Get-Launch"
_SHORTEST = "'done'"
_SERVERS = 20


def run(options: Namespace) -> list[Report]:
    waited_for: list[int] = []

    def on_call(trace: CallTrace) -> None:
        waited_for.append(trace.traffic.requests)

    calls = max(1, options.calls // 10)
    with LabProcess(min(_SERVERS, options.servers)) as lab:
        name, settings = next(iter(lab.connections.items()))
        gateway = lab.gateway(on_call=on_call)

        def ours(calls: int) -> None:
            for _ in range(calls):
                gateway.find_launches(name)

        pypsrp, ansible = Pypsrp(settings, _SHORTEST), Ansible(lab.connections, _SHORTEST)
        pywinrm = Pywinrm(settings, _SHORTEST)
        costs = compare(
            lab,
            [
                Contender(pywinrm.name, pywinrm.call, calls),
                Contender(pypsrp.name, pypsrp.call, calls),
                Contender(OURS, ours, calls),
            ],
            options.rounds,
        )
        if options.ansible_rounds:
            everywhere = Contender(ansible.name, ansible.call, len(lab.connections), True)
            costs |= compare(lab, [everywhere], options.ansible_rounds)
        gateway.close()
        pypsrp.close()
        ansible.close()
    most = sorted(waited_for[1:])[int(len(waited_for[1:]) * 0.99)]
    return [
        Report(
            "One script call, NTLM sealed, warm",
            COLUMNS,
            cost_rows(costs, OURS),
            [Goal("requests the caller waits for, 99 of 100 calls", most, 4)],
            [
                "requests: all, those after the answer included",
                f"requests the caller waited for, ours: {_spread(waited_for[1:])}",
            ],
        )
    ]


def _spread(numbers: list[int]) -> str:
    return ", ".join(f"{n} in {numbers.count(n)} calls" for n in sorted(set(numbers)))
