"""``orchestrator db``: the schema."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.bootstrap import Broker
from orchestrator.cli.logs import set_up_logging
from orchestrator.cli.options import STORE, json_option, settings_options
from orchestrator.cli.output import print_json
from orchestrator.config import Settings


@click.group()
def db() -> None:
    """Create and upgrade the database's tables."""


@db.command()
@settings_options(*STORE)
@json_option
def upgrade(as_json: bool, **options: Any) -> None:
    """Bring the tables to this version; safe to repeat, and from several hosts."""
    settings = Settings(**options)
    set_up_logging(settings.log_level, settings.log_format)
    with Broker(settings) as broker:
        broker.store.upgrade()
        revision = broker.store.revision()
    if as_json:
        print_json({"revision": revision})
    else:
        click.echo(f"the database is at revision {revision}")
