"""``orchestrator lab``: simulated Windows servers on loopback ports."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import click

from orchestrator.cli.held_file import held_file, refuse_if_held
from orchestrator.cli.output import print_table
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
    refuse_if_held(inventory_file)
    running = Lab(
        servers,
        password=secrets.token_urlsafe(12),
        tls=tls,
        refusing=refusing,
        hanging=hanging,
    )
    with (
        stop_signals() as stopped,
        running,
        held_file(inventory_file, running.inventory_yaml()),
    ):
        _show(running.hosts)
        click.echo(f"inventory: {inventory_file}   stop: Ctrl-C")
        stopped.wait()


def _show(hosts: Sequence[LabHost]) -> None:
    rows = [(h.name, h.url, h.cpus, f"{h.memory_mb} MiB", h.slots) for h in hosts[:20]]
    print_table(("SERVER", "WINRM", "CPUS", "MEMORY", "SLOTS"), rows, "no servers")
    if len(hosts) > len(rows):
        click.echo(f"and {len(hosts) - len(rows)} more")
