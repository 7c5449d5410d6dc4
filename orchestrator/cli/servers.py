"""``orchestrator servers``: see, check, drain and resume servers."""

from __future__ import annotations

import getpass
from collections import Counter
from typing import Any

import click

from orchestrator.api import server_json
from orchestrator.cli.options import FLEET, STORE, json_option, open_broker, settings_options
from orchestrator.cli.output import age, percent, print_json, print_table
from orchestrator.domain.errors import UnknownServer
from orchestrator.domain.server import Health, ServerRecord


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
@settings_options(*FLEET)
@json_option
def check(names: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Poll NAMES, or every server, now. Exit code 1 where one does not answer."""
    with open_broker(options, calls_servers=True) as broker:
        with broker.units(read_only=True) as uow:
            known = {record.server.name for record in uow.servers.list() if record.present}
        for name in names:
            if name not in known:
                raise UnknownServer(f"no server {name!r} in the inventory")
        found = broker.probe_servers(names or None)
    if as_json:
        print_json(
            [{"server": p.server, "health": p.health.value, "reason": p.reason} for p in found]
        )
    else:
        rows = [(p.server, p.health.value, p.reason) for p in found]
        print_table(("SERVER", "HEALTH", "REASON"), rows, "no servers")
    if any(p.health is not Health.UP for p in found):
        click.get_current_context().exit(1)


@servers.command()
@click.argument("name")
@settings_options(*STORE)
@json_option
def drain(name: str, as_json: bool, **options: Any) -> None:
    """Send no new session to NAME; those that run go on."""
    with open_broker(options) as broker:
        record = broker.manage_servers.drain(name, _who())
    _print_one(record, as_json)


@servers.command()
@click.argument("name")
@settings_options(*STORE)
@json_option
def resume(name: str, as_json: bool, **options: Any) -> None:
    """Let NAME take sessions again."""
    with open_broker(options) as broker:
        record = broker.manage_servers.resume(name, _who())
    _print_one(record, as_json)


def _print_one(record: ServerRecord, as_json: bool) -> None:
    if as_json:
        print_json({"name": record.server.name, "drained": record.drained})
    else:
        state = "takes no new sessions" if record.drained else "takes sessions"
        click.echo(f"{record.server.name} {state}")


def _who() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return "the command line"


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
