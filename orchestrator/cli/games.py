"""``orchestrator games``: the catalogue."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click

from orchestrator.api import game_json, parse_game
from orchestrator.cli.options import STORE, json_option, open_broker, settings_options
from orchestrator.cli.output import print_json, print_table
from orchestrator.domain.errors import FieldProblem, InvalidRequest


@click.group()
def games() -> None:
    """List and add games."""


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
            f"cpu {game.needs.cpu:g}, gpu {game.needs.gpu:g}, {game.needs.memory_mb} MiB",
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
    try:
        body = json.load(file)
    except ValueError as error:
        problem = FieldProblem(file.name, f"is not JSON: {error}")
        raise InvalidRequest([problem]) from error
    game = parse_game(body)
    with open_broker(options, creates=True) as broker:
        stored, added = broker.add_game(game)
    if as_json:
        print_json(game_json(stored))
    else:
        click.echo(f"game {stored.id} {'added' if added else 'was there already'}")
