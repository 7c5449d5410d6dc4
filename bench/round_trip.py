"""One WQL round trip, NTLM sealed, on a kept connection.

pywinrm's transport and the floor are given our bytes and read nothing of the
answer; ours makes the message, keeps the deadline and reads the rows.
"""

from __future__ import annotations

from argparse import Namespace

from winrm.protocol import Protocol

from bench.cost import Contender, compare
from bench.floor import Floor
from bench.lab import MEMORY, LabProcess, memory_message
from bench.report import COLUMNS, Goal, Report, cost_rows

PYWINRM, FLOOR, OURS = "pywinrm's transport", "floor: http.client + pyspnego", "ours"


def run(options: Namespace) -> list[Report]:
    with LabProcess() as lab:
        gateway = lab.gateway()
        ((name, settings),) = lab.connections.items()
        message = memory_message(settings.url)
        protocol = Protocol(
            settings.url,
            transport="ntlm",
            username=settings.user,
            password=settings.password,
            proxy=None,
        )
        floor = Floor(settings)

        def through_pywinrm(calls: int) -> None:
            for _ in range(calls):
                protocol.send_message(message)

        def through_floor(calls: int) -> None:
            for _ in range(calls):
                floor.send(message)

        def through_ours(calls: int) -> None:
            for _ in range(calls):
                gateway.query(name, MEMORY)

        costs = compare(
            lab,
            [
                Contender(PYWINRM, through_pywinrm, options.calls),
                Contender(FLOOR, through_floor, options.calls),
                Contender(OURS, through_ours, options.calls),
            ],
            options.rounds,
        )
        gateway.close()
        floor.close()
        protocol.transport.close_session()
    ours = costs[OURS].cpu
    return [
        Report(
            "One WQL round trip, NTLM sealed, warm",
            COLUMNS,
            cost_rows(costs, OURS),
            [
                Goal("client CPU, ours : pywinrm's transport", ours / costs[PYWINRM].cpu, 1 / 3),
                Goal("client CPU, ours : floor", ours / costs[FLOOR].cpu, 2),
                Goal("requests", costs[OURS].requests, 1),
            ],
        )
    ]
