"""``orchestrator inventory``: check it before the broker meets it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from orchestrator.cli.options import json_option, settings_options
from orchestrator.cli.output import print_json, print_table
from orchestrator.inventory import load_inventory, to_ansible_list


@click.group()
def inventory() -> None:
    """Check the inventory."""


@inventory.command()
@click.argument("path", type=click.Path(path_type=Path))
@settings_options("vault_password_file")
@json_option
def check(path: Path, vault_password_file: Path | None, as_json: bool) -> None:
    """Read PATH and print its servers, or everything that is wrong with it.

    Problems read file:line:column: what, and what to write instead. Exit code
    1 where there is any. With --json the inventory is printed as
    ansible-inventory --list would, secrets blanked.
    """
    loaded = load_inventory(
        path, environment=dict(os.environ), vault_password_file=vault_password_file
    )
    if as_json:
        print_json(
            to_ansible_list(
                path, environment=dict(os.environ), vault_password_file=vault_password_file
            )
        )
        return
    rows = [
        (
            e.server.name,
            e.server.site,
            e.connection.url,
            e.connection.transport,
            e.server.slots,
            " ".join(sorted(e.server.modes)),
            e.server.ports,
        )
        for e in loaded.entries
    ]
    columns = ("SERVER", "SITE", "WINRM", "TRANSPORT", "SLOTS", "MODES", "PORTS")
    print_table(columns, rows, "no servers")
    click.echo(f"{path}: {len(rows)} server{'s' if len(rows) != 1 else ''}, no problems")
