"""``orchestrator explain``: why a session is where it is."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.api import decision_json
from orchestrator.cli.options import STORE, json_option, open_broker, settings_options
from orchestrator.cli.output import print_json, print_table
from orchestrator.cli.session_ids import session_named
from orchestrator.domain.decision import Decision, Verdict


@click.command()
@click.argument("session")
@settings_options(*STORE)
@json_option
def explain(session: str, as_json: bool, **options: Any) -> None:
    """Show why SESSION was placed where it is: every server's score or rejection.

    The first 6 characters of its id will do.
    """
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        found = session_named(uow, session)
    if as_json:
        print_json({"session_id": found.id, **decision_json(found.decision)})
        return
    click.echo(
        f"{found.id}: {found.game_id} ({found.mode.value}) went to {found.server} "
        f"by {found.decision.strategy}"
    )
    print_decision(found.decision)


def print_decision(decision: Decision) -> None:
    """Every server's verdict, the best first, the rejected last."""
    ranked = sorted(decision.verdicts, key=lambda v: (v.total is None, -(v.total or 0.0), v.server))
    print_table(
        ("SERVER", "SCORE", "WHY"),
        [(v.server, _score(v), _why(v, decision.chosen)) for v in ranked],
        "the inventory has no servers",
    )


def _score(verdict: Verdict) -> str:
    return "-" if verdict.total is None else f"{verdict.total:.3f}"


def _why(verdict: Verdict, chosen: str | None) -> str:
    if verdict.rejected_by:
        return f"{verdict.reason} ({verdict.rejected_by})"
    scores = ", ".join(f"{name} {value:.3f}" for name, value in sorted(verdict.scores.items()))
    return f"chosen: {scores}" if verdict.server == chosen else scores
