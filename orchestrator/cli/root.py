"""The root command: joins the groups, turns errors of ours into exit codes.

Exit codes: 0 done, 1 an error of ours (its code and text on stderr, or as JSON
on stdout with ``--json``), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from orchestrator import __version__
from orchestrator.cli import INTERRUPTED
from orchestrator.cli.database import db
from orchestrator.cli.demo import demo
from orchestrator.cli.explain import explain
from orchestrator.cli.games import games
from orchestrator.cli.inventory import inventory
from orchestrator.cli.lab import lab
from orchestrator.cli.options import JSON_ASKED
from orchestrator.cli.output import print_error
from orchestrator.cli.reconcile import reconcile
from orchestrator.cli.reports import report
from orchestrator.cli.serve import serve
from orchestrator.cli.servers import servers
from orchestrator.cli.sessions import sessions
from orchestrator.cli.tokens import tokens
from orchestrator.domain.errors import OrchestratorError


class Root(click.Group):
    """A group whose commands may raise errors of ours, and be interrupted."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the arguments of the group itself."""
        with _interruptible():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an OrchestratorError becomes its text and exit code 1."""
        try:
            with _interruptible():
                return super().invoke(ctx)
        except OrchestratorError as error:
            print_error(error, as_json=bool(ctx.meta.get(JSON_ASKED)))
            ctx.exit(1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the command with a code of its own, and no traceback."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="orchestrator")
def main() -> None:
    """Agentless broker for game servers on Windows.

    Every option has an environment variable, shown in its help.
    """


for command in (
    serve,
    inventory,
    servers,
    sessions,
    reconcile,
    explain,
    games,
    report,
    tokens,
    db,
    lab,
    demo,
):
    main.add_command(command)
