"""Tables for people, JSON for programs, errors for both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.domain.errors import (
    InvalidRequest,
    InventoryError,
    NoCapacity,
    OrchestratorError,
    ServerCallError,
)


class NotWritten(OrchestratorError):
    """The file that was asked for cannot be written."""

    code = "file_not_written"


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, or the line ``empty`` where there is no row."""
    lines = [[_cell(value) for value in row] for row in rows]
    if not lines:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*line)
    _console().print(table)


def print_error(error: OrchestratorError, *, as_json: bool = False) -> None:
    """The error on stderr, or as JSON on stdout."""
    if as_json:
        print_json({"error": error_json(error)})
        return
    if isinstance(error, InventoryError):
        for problem in error.problems:
            click.echo(str(problem), err=True)
        count = len(error.problems)
        click.echo(f"{count} problem{'s' if count > 1 else ''}; nothing was loaded", err=True)
        return
    click.echo(f"error: {error.told} [{error.code}]", err=True)
    if isinstance(error, NoCapacity):
        for server, reason in sorted(error.reasons.items()):
            click.echo(f"  {server}: {reason}", err=True)


def error_json(error: OrchestratorError) -> dict[str, Any]:
    """An error's code, text and what else it carries."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.told,
        "retryable": error.retryable,
    }
    if isinstance(error, InventoryError):
        body["problems"] = [
            {"path": p.path, "line": p.line, "column": p.column, "message": p.message}
            for p in error.problems
        ]
    if isinstance(error, InvalidRequest):
        body["errors"] = [{"field": p.field, "message": p.message} for p in error.problems]
    if isinstance(error, ServerCallError):
        body["server"] = error.server
    if isinstance(error, NoCapacity):
        body["reasons"] = error.reasons
    return body


def age(moment: datetime | None) -> str:
    """How long ago, in the largest fitting unit; "-" for never."""
    if moment is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def percent(share: float | None) -> str:
    """A share as a percentage; "-" where not measured."""
    return "-" if share is None else f"{share:.0%}"


def _cell(value: object) -> Text:
    return Text("-" if value is None or value == "" else str(value))


def _console() -> Console:
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    return console
