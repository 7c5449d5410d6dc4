"""``orchestrator games``: the catalogue."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click

from orchestrator.api import game_json, parse_game
from orchestrator.cli.options import STORE, json_option, open_broker, settings_options, user_name
from orchestrator.cli.output import print_json, print_table
from orchestrator.domain.errors import FieldProblem, InvalidRequest
from orchestrator.domain.game import Game


@click.group()
def games() -> None:
    """List, add, change and remove games."""


@games.command("list")
@settings_options(*STORE)
@json_option
def list_(as_json: bool, **options: Any) -> None:
    """List the catalogue."""
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        found = uow.games.list()
    if as_json:
        print_json([game_json(game) for game in found])
        return
    rows = [
        (
            game.id,
            game.title,
            " ".join(sorted(game.modes)),
            _needs(game),
        )
        for game in found
    ]
    print_table(("GAME", "TITLE", "MODES", "NEEDS"), rows, "no games: add one with 'games add'")


@games.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@settings_options(*STORE)
@json_option
def add(file: TextIO, as_json: bool, **options: Any) -> None:
    """Add the game that FILE describes as JSON; "-" reads from stdin.

    The fields are those of POST /api/v1/games, see docs/api.md.
    """
    game = _read(file)
    with open_broker(options, creates=True) as broker:
        stored, added = broker.add_game(game)
    if as_json:
        print_json(game_json(stored))
    else:
        click.echo(f"game {stored.id} {'added' if added else 'was there already'}")


@games.command()
@click.argument("game")
@settings_options(*STORE)
@json_option
def show(game: str, as_json: bool, **options: Any) -> None:
    """Show how GAME is launched; with --json as 'games change' takes it."""
    with open_broker(options) as broker, broker.units(read_only=True) as uow:
        found = uow.games.get(game)
    if as_json:
        print_json(game_json(found))
        return
    click.echo(f"{found.id}: {found.title}")
    click.echo(f"  needs    {_needs(found)}")
    for name, value in (("duration", found.limits.duration), ("idle", found.limits.idle)):
        if value is not None:
            click.echo(f"  limit    {name} {value} s")
    for name, label in sorted(found.labels.items()):
        click.echo(f"  label    {name}: {label}")
    for mode, spec in sorted(found.modes.items()):
        click.echo(f"  {mode}: {' '.join((spec.executable, *spec.arguments))}")
        if spec.config_file:
            click.echo(f"    config {spec.config_file}")


@games.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@settings_options(*STORE)
@json_option
def change(file: TextIO, as_json: bool, **options: Any) -> None:
    """Put the game that FILE describes in the place of the one of its id.

    FILE is the whole of it, as 'games show GAME --json' prints it; "-" reads
    from stdin. While sessions of it are not over, only its title and labels change.
    """
    game = _read(file)
    with open_broker(options) as broker:
        stored = broker.change_game(game, user_name())
    if as_json:
        print_json(game_json(stored))
    else:
        click.echo(f"game {stored.id} is as {file.name} says")


@games.command()
@click.argument("game")
@settings_options(*STORE)
@json_option
def remove(game: str, as_json: bool, **options: Any) -> None:
    """Take GAME out of the catalogue; what its sessions left stays readable.

    Refused while sessions of it are not over.
    """
    with open_broker(options) as broker:
        broker.remove_game(game, user_name())
    if as_json:
        print_json({"id": game, "removed": True})
    else:
        click.echo(f"game {game} is removed")


def _read(file: TextIO) -> Game:
    try:
        body = json.load(file)
    except ValueError as error:
        problem = FieldProblem(file.name, f"is not JSON: {error}")
        raise InvalidRequest([problem]) from error
    return parse_game(body)


def _needs(game: Game) -> str:
    return f"cpu {game.needs.cpu:g}, gpu {game.needs.gpu:g}, {game.needs.memory_mb} MiB"
