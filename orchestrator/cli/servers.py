"""``orchestrator servers``: see, check, drain and resume servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from orchestrator.api import check_json, server_json
from orchestrator.cli.options import (
    POLLS,
    STORE,
    json_option,
    open_broker,
    settings_options,
    user_name,
)
from orchestrator.cli.output import age, percent, print_json, print_table
from orchestrator.domain.check import CheckedServer, Verdict
from orchestrator.domain.errors import UnknownServer
from orchestrator.domain.server import ServerRecord


@click.group()
def servers() -> None:
    """See, check, drain and resume servers."""


@servers.command("list")
@settings_options(*STORE)
@json_option
def list_(as_json: bool, **options: Any) -> None:
    """List the servers with their health, load and sessions, as last polled."""
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        records = uow.servers.list()
        used = Counter(session.server for session in uow.sessions.active())
    if as_json:
        print_json([server_json(record, used[record.server.name]) for record in records])
        return
    print_table(
        ("SERVER", "SITE", "HEALTH", "SLOTS", "CPU", "MEMORY", "GPU", "POLLED", "NOTE"),
        [_row(record, used[record.server.name]) for record in records],
        "no servers yet: 'orchestrator serve' takes them over from the inventory",
    )


@servers.command()
@click.argument("names", nargs=-1)
@settings_options(*POLLS)
@json_option
def check(names: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Look at what NAMES, or all servers, lack. Exit code 1 where there is a problem.

    Polls each server and runs Test-RuntimeServer there: rights, quotas, the
    desktop, GamingAnywhere, counters, ports, disk and clock.
    """
    with open_broker(options, calls_servers=True, creates=True) as broker:
        with broker.units(read_only=True) as uow:
            records = {
                r.server.name: r
                for r in uow.servers.list()
                if r.present and broker.gateway.knows(r.server.name)
            }
            for name in names:
                if name not in records:
                    raise UnknownServer(f"no server {name!r} in the inventory")
        found = broker.settlers.map(broker.check_server, names or sorted(records))
        with broker.units(read_only=True) as uow:
            health = {r.server.name: r for r in uow.servers.list()}
    if as_json:
        print_json(
            [
                {
                    **check_json(checked),
                    "health": health[checked.server].health.value,
                    "reason": health[checked.server].health_reason,
                }
                for checked in found
            ]
        )
    else:
        print_table(
            ("SERVER", "ITEM", "VERDICT", "FOUND", "REMEDY"),
            [
                (c.server, item.name, item.verdict.value, item.found, item.remedy)
                for c in found
                for item in c.items
            ],
            "no servers",
        )
        click.echo(_summary(found))
    if any(checked.verdict is Verdict.PROBLEM for checked in found):
        click.get_current_context().exit(1)


@servers.command()
@click.argument("name")
@settings_options(*STORE)
@json_option
def drain(name: str, as_json: bool, **options: Any) -> None:
    """Send no new session to NAME; those that run go on."""
    with open_broker(options) as broker:
        record = broker.manage_servers.drain(name, user_name())
    _print_one(record, as_json)


@servers.command()
@click.argument("name")
@settings_options(*STORE)
@json_option
def resume(name: str, as_json: bool, **options: Any) -> None:
    """Let NAME take sessions again."""
    with open_broker(options) as broker:
        record = broker.manage_servers.resume(name, user_name())
    _print_one(record, as_json)


def _summary(found: Sequence[CheckedServer]) -> str:
    counts = Counter(item.verdict for checked in found for item in checked.items)
    parts = [f"{counts[Verdict.OK]} ok", _plural(counts[Verdict.WARNING], "warning")]
    parts.append(_plural(counts[Verdict.PROBLEM], "problem"))
    if counts[Verdict.NOT_MEASURED]:
        parts.append(f"{counts[Verdict.NOT_MEASURED]} not measured")
    return f"{_plural(len(found), 'server')}: {', '.join(parts)}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _print_one(record: ServerRecord, as_json: bool) -> None:
    if as_json:
        print_json({"name": record.server.name, "drained": record.drained})
    else:
        state = "takes no new sessions" if record.drained else "takes sessions"
        click.echo(f"{record.server.name} {state}")


def _row(record: ServerRecord, used: int) -> tuple[object, ...]:
    load = record.load
    notes = [
        "drained" if record.drained else "",
        "" if record.present else "left the inventory",
        record.health_reason,
    ]
    return (
        record.server.name,
        record.server.site,
        record.health.value,
        f"{used}/{record.server.slots}",
        percent(load.cpu if load else None),
        percent(load.memory if load else None),
        percent(load.gpu if load else None),
        age(record.checked_at),
        "; ".join(note for note in notes if note),
    )
