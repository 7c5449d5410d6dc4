"""``orchestrator report``: make reports and look at those that are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator.api.routes_reports import head_json, period_of, report_json
from orchestrator.cli.options import STORE, json_option, open_broker, settings_options
from orchestrator.cli.output import NotWritten, print_json, print_table
from orchestrator.domain.errors import InvalidSetting, OrchestratorError
from orchestrator.domain.report import Delivery, KeptReport, Language

_MAKING = (*STORE, "timezone", "report_language", "report_targets")
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


class NotSent(OrchestratorError):
    """A target did not take the report."""

    code = "report_not_sent"


@click.group()
def report() -> None:
    """Make, list and show reports."""


_output = click.option(
    "--output",
    "outputs",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    envvar="ORCHESTRATOR_REPORT_OUTPUT",
    show_envvar=True,
    help="Write it there too: HTML, JSON where the name ends in .json, text for .txt.",
)


@report.command()
@click.option(
    "--days",
    type=click.IntRange(1, 400),
    default=7,
    show_default=True,
    envvar="ORCHESTRATOR_REPORT_DAYS",
    show_envvar=True,
    help="How many days back, where --since is not given.",
)
@click.option(
    "--since",
    type=_MOMENT,
    envvar="ORCHESTRATOR_REPORT_SINCE",
    show_envvar=True,
    help="Begin; UTC where it has no zone.",
)
@click.option(
    "--until",
    type=_MOMENT,
    envvar="ORCHESTRATOR_REPORT_UNTIL",
    show_envvar=True,
    help="End; now where it is not given.",
)
@click.option(
    "--send",
    is_flag=True,
    envvar="ORCHESTRATOR_REPORT_SEND",
    show_envvar=True,
    help="Send it to the report targets; exit code 1 where one did not take it.",
)
@_output
@settings_options(*_MAKING)
@json_option
def run(
    days: int,
    since: datetime | None,
    until: datetime | None,
    send: bool,
    outputs: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Make a report now, keep it and print it."""
    with open_broker(options) as broker:
        if send and not broker.notifier.targets():
            raise InvalidSetting("--send needs --report-targets FILE")
        period = period_of(_aware(since), _aware(until), days, broker.clock.now())
        kept = broker.reports.run(period, Language(options["report_language"]), send)
    _show(kept, outputs, as_json)
    unsent = [each for each in kept.head.deliveries if each.sent_at is None]
    if unsent:
        raise NotSent("; ".join(_unsent(each) for each in unsent))


@report.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    envvar="ORCHESTRATOR_LIMIT",
    show_envvar=True,
    help="How many at most.",
)
@settings_options(*STORE)
@json_option
def list_(limit: int, as_json: bool, **options: Any) -> None:
    """List the reports that are kept, the newest first."""
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        found = uow.reports.list(limit)
    if as_json:
        print_json([head_json(head) for head in found])
        return
    rows = [
        (
            head.id,
            head.kind.value,
            f"{head.since:%Y-%m-%d %H:%M}",
            f"{head.until:%Y-%m-%d %H:%M}",
            head.language.value,
            f"{sum(d.sent_at is not None for d in head.deliveries)}/{len(head.deliveries)}",
        )
        for head in found
    ]
    print_table(("ID", "KIND", "SINCE", "UNTIL", "LANGUAGE", "SENT"), rows, "no reports")


@report.command()
@click.argument("report_id")
@_output
@settings_options(*STORE)
@json_option
def show(report_id: str, outputs: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Print a report that is kept."""
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        kept = uow.reports.get(report_id)
    _show(kept, outputs, as_json)


def _show(kept: KeptReport, outputs: tuple[Path, ...], as_json: bool) -> None:
    for path in outputs:
        _write(path, kept)
    if as_json:
        print_json(report_json(kept))
    else:
        click.echo(kept.text, nl=False)


def _write(path: Path, kept: KeptReport) -> None:
    if path.suffix == ".json":
        text = json.dumps(report_json(kept), ensure_ascii=False, indent=1)
    else:
        text = kept.text if path.suffix == ".txt" else kept.html
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"{path} cannot be written: {error.strerror}") from None


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _unsent(delivery: Delivery) -> str:
    return f"not sent to {delivery.target}: {delivery.problem}"
