"""``orchestrator tokens``: who may use the API."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.cli.options import STORE, json_option, open_broker, settings_options
from orchestrator.cli.output import age, print_json, print_table
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.token import Role, Token


class UnknownToken(OrchestratorError):
    """No token has that id."""

    code = "unknown_token"


@click.group()
def tokens() -> None:
    """Make, list and revoke bearer tokens."""


@tokens.command()
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    required=True,
    envvar="ORCHESTRATOR_ROLE",
    show_envvar=True,
    help="What it may do: viewer reads, portal starts and ends, operator drains, admin all.",
)
@click.option(
    "--name",
    default="",
    envvar="ORCHESTRATOR_NAME",
    show_envvar=True,
    help="Whom it is for, shown in lists.",
)
@settings_options(*STORE)
@json_option
def create(role: str, name: str, as_json: bool, **options: Any) -> None:
    """Make a token and print it. It is shown this once: only its hash is stored."""
    with open_broker(options, creates=True) as broker:
        token, text = broker.tokens.create(Role(role), name)
    if as_json:
        print_json({**_as_json(token), "token": text})
    else:
        click.echo(text)


@tokens.command("list")
@settings_options(*STORE)
@json_option
def list_(as_json: bool, **options: Any) -> None:
    """List the tokens, revoked ones included."""
    with open_broker(options) as broker:
        found = broker.tokens.list()
    if as_json:
        print_json([_as_json(token) for token in found])
        return
    rows = [
        (t.id, t.name, t.role.value, age(t.created_at), "revoked" if t.revoked_at else "valid")
        for t in found
    ]
    print_table(("ID", "NAME", "ROLE", "AGE", "STATE"), rows, "no tokens")


@tokens.command()
@click.argument("token_id")
@settings_options(*STORE)
@json_option
def revoke(token_id: str, as_json: bool, **options: Any) -> None:
    """Make a token useless, at once."""
    with open_broker(options) as broker:
        if not broker.tokens.revoke(token_id):
            raise UnknownToken(f"no token {token_id}; see 'orchestrator tokens list'")
    if as_json:
        print_json({"id": token_id, "revoked": True})
    else:
        click.echo(f"token {token_id} is revoked")


def _as_json(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "created_at": token.created_at.isoformat(),
        "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
    }
