"""``orchestrator reconcile``: the servers' own truth, now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from orchestrator.cli.options import POLLS, json_option, open_broker, settings_options
from orchestrator.cli.output import print_json, print_table


@click.command()
@settings_options(*POLLS, "end_grace", "orphans", "orphan_age")
@json_option
def reconcile(as_json: bool, **options: Any) -> None:
    """Ask every server what runs, settle the sessions, and say what was done.

    For after a crash or a restored backup; a running broker does the same by itself.
    """
    with open_broker(options, calls_servers=True) as broker:
        done = broker.reconcile_fleet()
    if as_json:
        print_json([asdict(each) for each in done])
    else:
        rows = [(each.server, each.session_id, each.action, each.note) for each in done]
        print_table(("SERVER", "SESSION", "ACTION", "NOTE"), rows, "all is as it should be")
