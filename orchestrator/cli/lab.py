"""``orchestrator lab``: simulated Windows servers on loopback ports."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import click

from orchestrator.cli.output import NotWritten, print_table
from orchestrator.cli.serve import allow_many_connections, stop_signals
from orchestrator.lab import Lab, LabHost


@click.command()
@click.option(
    "--servers",
    default=3,
    show_default=True,
    type=click.IntRange(1, 2000),
    envvar="ORCHESTRATOR_LAB_SERVERS",
    show_envvar=True,
    help="How many.",
)
@click.option(
    "--inventory-file",
    default=Path("lab.yml"),
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="ORCHESTRATOR_LAB_INVENTORY_FILE",
    show_envvar=True,
    help="Where to write the inventory of the lab; it appears once every server listens.",
)
@click.option(
    "--tls",
    is_flag=True,
    envvar="ORCHESTRATOR_LAB_TLS",
    show_envvar=True,
    help="Speak WinRM over HTTPS with a certificate of its own.",
)
@click.option(
    "--refusing",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    envvar="ORCHESTRATOR_LAB_REFUSING",
    show_envvar=True,
    help="How many of them are dead and refuse connections.",
)
@click.option(
    "--hanging",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    envvar="ORCHESTRATOR_LAB_HANGING",
    show_envvar=True,
    help="How many of them are dead and never answer.",
)
def lab(servers: int, inventory_file: Path, tls: bool, refusing: int, hanging: int) -> None:
    """Run simulated Windows servers that speak real WinRM, until Ctrl-C.

    They start no game: they answer as Windows servers with GamingAnywhere and
    a few games on them would. Point 'orchestrator serve' at the inventory it writes.
    """
    if refusing + hanging > servers:
        raise click.BadParameter("more dead servers than servers", param_hint="--refusing")
    allow_many_connections()
    running = Lab(
        servers,
        password=secrets.token_urlsafe(12),
        tls=tls,
        refusing=refusing,
        hanging=hanging,
    )
    with stop_signals() as stopped, running:
        _write(inventory_file, running.inventory_yaml())
        _show(running.hosts)
        click.echo(f"inventory: {inventory_file}   stop: Ctrl-C")
        stopped.wait()
    inventory_file.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        part.replace(path)
    except OSError as error:
        raise NotWritten(
            f"the inventory {path.absolute()} cannot be written: {error.strerror}; name another "
            "file with --inventory-file"
        ) from None


def _show(hosts: Sequence[LabHost]) -> None:
    rows = [(h.name, h.url, h.cpus, f"{h.memory_mb} MiB", h.slots) for h in hosts[:20]]
    print_table(("SERVER", "WINRM", "CPUS", "MEMORY", "SLOTS"), rows, "no servers")
    if len(hosts) > len(rows):
        click.echo(f"and {len(hosts) - len(rows)} more")
