"""``orchestrator sessions``: see, start and end sessions without the portal."""

from __future__ import annotations

import ipaddress
from typing import Any

import click
from rich.console import Console

from orchestrator.api import session_json
from orchestrator.bootstrap import Broker
from orchestrator.cli.options import (
    CALLS,
    POLLS,
    STORE,
    json_option,
    open_broker,
    settings_options,
    user_name,
)
from orchestrator.cli.output import age, print_json, print_table
from orchestrator.cli.session_ids import session_named
from orchestrator.domain.event import Event
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Health
from orchestrator.domain.session import Session, SessionState
from orchestrator.ports import SessionQuery
from orchestrator.services.start_game import StartRequest

_OWNER = "cli"
"""Who asked for a session that a command started."""


@click.group()
def sessions() -> None:
    """See, start and end sessions."""


@sessions.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in SessionState]),
    envvar="ORCHESTRATOR_STATE",
    show_envvar=True,
    help="Only sessions in this state; may be given several times.",
)
@click.option(
    "--server", envvar="ORCHESTRATOR_SERVER", show_envvar=True, help="Only sessions on this server."
)
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1000),
    envvar="ORCHESTRATOR_LIMIT",
    show_envvar=True,
    help="How many at most, the newest first.",
)
@settings_options(*STORE)
@json_option
def list_(
    states: tuple[str, ...], server: str | None, limit: int, as_json: bool, **options: Any
) -> None:
    """List sessions, the newest first."""
    wanted = frozenset(SessionState(state) for state in states) or None
    query = SessionQuery(states=wanted, server=server, limit=limit)
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        found = uow.sessions.list(query)
    if as_json:
        print_json([session_json(session) for session in found])
        return
    print_table(
        ("SESSION", "GAME", "MODE", "SERVER", "STATE", "PID", "STREAM", "AGE"),
        [_row(session) for session in found],
        "no sessions",
    )


@sessions.command()
@click.argument("session")
@settings_options(*STORE)
@json_option
def show(session: str, as_json: bool, **options: Any) -> None:
    """Show SESSION and what happened to it; the first 6 characters of its id will do."""
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        found = session_named(uow, session)
        events = list(reversed(uow.events.list(session_id=found.id, limit=1000)))
    if as_json:
        print_json({**session_json(found), "events": [_event_json(event) for event in events]})
        return
    print_session(found)
    click.echo()
    rows = [(e.at.isoformat(timespec="milliseconds"), e.kind, e.message) for e in events]
    print_table(("TIME", "EVENT", "WHAT"), rows, "no events")


@sessions.command()
@click.argument("game")
@click.option(
    "--mode",
    required=True,
    type=click.Choice([mode.value for mode in Mode]),
    envvar="ORCHESTRATOR_MODE",
    show_envvar=True,
    help="How to launch it.",
)
@click.option(
    "--config-file",
    envvar="ORCHESTRATOR_CONFIG_FILE",
    show_envvar=True,
    help="GamingAnywhere config, relative to the server's config directory; else the game's own.",
)
@click.option(
    "--player-address",
    envvar="ORCHESTRATOR_PLAYER_ADDRESS",
    show_envvar=True,
    help="IP address that alone may reach the stream; without it the firewall stays as it is.",
)
@settings_options(*POLLS, "strategy")
@json_option
def start(
    game: str,
    mode: str,
    config_file: str | None,
    player_address: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Start GAME and wait until it streams."""
    address = _address(player_address)
    with open_broker(options, calls_servers=True) as broker, _progress("starting"):
        _poll_unknown(broker)
        key = broker.ids.new_id()
        request = StartRequest(
            game,
            Mode(mode),
            config_file,
            requested_by=_OWNER,
            idempotency_key=key,
            player_address=address,
        )
        try:
            session = broker.start_game(request)
        except KeyboardInterrupt:
            _say_what_is_left(broker, broker.ids.id_for(_OWNER, key))
            raise
    _print(session, as_json)


def _say_what_is_left(broker: Broker, session_id: str) -> None:
    """What a start that nobody waits for any more has come to."""
    with broker.units(read_only=True) as uow:
        left = uow.sessions.find(session_id)
    if left is not None:
        click.echo(
            f"session {left.id} is {left.state.value} on {left.server}: a running broker settles "
            f"it, or 'orchestrator reconcile'; 'orchestrator sessions end {left.id}' ends it",
            err=True,
        )


@sessions.command()
@click.argument("session")
@settings_options(*CALLS, "end_grace")
@json_option
def end(session: str, as_json: bool, **options: Any) -> None:
    """End SESSION: close its game, by force if need be."""
    with open_broker(options, calls_servers=True) as broker, _progress("ending"):
        ended = broker.end_game(session)
    _print(ended, as_json)


@sessions.command("give-up")
@click.argument("session")
@settings_options(*STORE)
@json_option
def give_up(session: str, as_json: bool, **options: Any) -> None:
    """Call SESSION ended though its server will not answer any more.

    For a server that was scrapped or left the inventory. Its slot is free then;
    should the server answer one day, what is left of the session there is ended.
    """
    with open_broker(options) as broker:
        given_up = broker.give_up(session, user_name())
    _print(given_up, as_json)


def _address(text: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(text)) if text else None
    except ValueError:
        raise click.BadParameter(f"{text!r} is not an IP address") from None


def print_session(session: Session) -> None:
    """One session, a line a fact."""
    launch = session.launch
    facts = (
        ("session", session.id),
        ("game", f"{session.game_id} ({session.mode.value})"),
        ("state", session.state.value),
        ("server", session.server),
        ("stream", stream(session) or "-"),
        ("control port", session.ports.control if stream(session) else None),
        ("process", f"{launch.image} PID {launch.pid}" if launch else None),
        ("process created", launch.created_at.isoformat() if launch else None),
        ("ended", session.ended_how),
        ("detail", session.end_detail),
        ("error", f"{session.error.message} [{session.error.code}]" if session.error else None),
    )
    for name, value in facts:
        if value is not None:
            click.echo(f"{name + ':':<17}{value}")


def stream(session: Session) -> str | None:
    """Where the player connects; None where there is nothing, or nothing any more."""
    if not session.state.is_active:
        return None
    if session.sunshine_app is not None:
        return f"{session.stream_address}:{session.ports.stream}"
    return session.rtsp_url


def _print(session: Session, as_json: bool) -> None:
    if as_json:
        print_json(session_json(session))
    else:
        print_session(session)


def _progress(text: str) -> Any:
    return Console(stderr=True).status(text)


def _poll_unknown(broker: Broker) -> None:
    """A broker that was never served has polled nothing, and would place nothing."""
    with broker.units(read_only=True) as uow:
        unknown = [
            record.server.name
            for record in uow.servers.list()
            if record.present and record.health is Health.UNKNOWN
        ]
    if unknown:
        broker.probe_servers(unknown)


def _row(session: Session) -> tuple[object, ...]:
    return (
        session.id,
        session.game_id,
        session.mode.value,
        session.server,
        session.state.value,
        session.launch.pid if session.launch else None,
        stream(session),
        age(session.created_at),
    )


def _event_json(event: Event) -> dict[str, Any]:
    return {"at": event.at.isoformat(), "kind": event.kind, "message": event.message}
