"""Command-line options made from the settings, and the broker they open."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import structlog

from orchestrator.bootstrap import Broker, read_inventory
from orchestrator.cli.logs import set_up_logging
from orchestrator.config import SETTINGS, Option, Settings
from orchestrator.domain.errors import InvalidSetting
from orchestrator.placement import strategy_names

log = structlog.get_logger(__name__)

Command = TypeVar("Command", bound=Callable[..., Any])

STORE = ("database", "log_level", "log_format")
"""Settings of commands that read or write the store only."""

CALLS = (
    "inventory",
    "vault_password_file",
    *STORE,
    "call_timeout",
    "connections_per_server",
)
"""Settings of commands that call servers."""

POLLS = (*CALLS, "poll_timeout", "poll_workers")
"""Settings of commands that poll them, too."""


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Options for these settings; the command receives them by name."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = _click_option(SETTINGS[name])(command)
        return command

    return decorate


def _click_option(option: Option) -> Callable[[Command], Command]:
    kind: Any
    if option.choices:
        kind = click.Choice(option.choices)
    elif option.kind is int:
        kind = click.IntRange(min=option.minimum, max=option.maximum)
    elif option.kind is str:
        kind = click.STRING
    else:
        kind = click.Path(path_type=Path)
    return click.option(
        option.flag,
        option.name,
        envvar=option.variable,
        type=kind,
        default=option.default,
        show_default=option.default is not None,
        show_envvar=True,
        help=option.help,
    )


JSON_ASKED = "orchestrator.json"
"""Key of ``click.Context.meta``: whether errors, too, are to be JSON."""


def _remember_json(context: click.Context, _: click.Parameter, value: bool) -> bool:
    context.meta[JSON_ASKED] = value
    return value


json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="ORCHESTRATOR_JSON",
    show_envvar=True,
    is_eager=True,
    callback=_remember_json,
    help="Print JSON instead of a table.",
)


def user_name() -> str:
    """Who gives the command, as events name them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "the command line"


def _check_strategy(name: str) -> None:
    """Every start would be refused, and only then would somebody learn it."""
    if name not in strategy_names():
        option, known = SETTINGS["strategy"], " or ".join(strategy_names())
        raise InvalidSetting(f"{option.flag} ({option.variable}) cannot be {name!r}: write {known}")


@contextmanager
def open_broker(
    options: Mapping[str, Any],
    *,
    calls_servers: bool = False,
    creates: bool = False,
    owns_fleet: bool = False,
) -> Iterator[Broker]:
    """A broker on the named database, its schema ready.

    The database must be there: one made in passing, because a command was run in
    the wrong folder, would show a fleet without a server. Only commands that begin
    a fleet say ``creates``. With ``calls_servers`` the inventory is read and taken
    over first; servers that it does not have leave the fleet only for who
    ``owns_fleet``, for a broker with another inventory may be running.
    """
    settings = Settings(**options)
    _check_strategy(settings.strategy)
    set_up_logging(settings.log_level, settings.log_format)
    inventory = read_inventory(settings) if calls_servers else None
    with Broker(settings, inventory) as broker:
        if broker.prepare_store(create=creates):
            log.info("database made", database=str(broker.store.place))
        broker.synchronise(whole=owns_fleet)
        yield broker
