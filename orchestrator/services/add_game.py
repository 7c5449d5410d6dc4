"""Add a game to the catalogue."""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.domain.errors import FieldProblem, GameExists, InvalidRequest, UnknownGame
from orchestrator.domain.event import Event
from orchestrator.domain.game import Game, LaunchSpec
from orchestrator.domain.mode import Mode
from orchestrator.ports import Clock, UnitOfWorkFactory
from orchestrator.services.launch_order import STREAMING_MODES, config_file_problem

_ABSOLUTE = re.compile(r"[A-Za-z]:[\\/][^\x00-\x1f<>:\"|?*]*")
_PATHS = {"executable": r"C:\Games\Chess\chess.exe", "working_directory": r"C:\Games\Chess"}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE = re.compile(r"[^=\x00-\x1f]+")
_CONTROL = re.compile(r"[\x00-\x1f]")
_NOT_IN_CONFIG = re.compile(r"[#;]|^\[|^[^/]*//|^\s|\s$")
"""What GamingAnywhere's config, which has no quoting, would not give back."""


class AddGame:
    """The use case. Adding the same game again changes nothing."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock) -> None:
        self._units = units
        self._clock = clock

    def __call__(self, game: Game) -> tuple[Game, bool]:
        """Add it; the game as stored and whether it is new.

        InvalidRequest names every wrong field; GameExists where another game
        has the id.
        """
        problems = game_problems(game)
        if problems:
            raise InvalidRequest(problems)
        with self._units() as uow:
            try:
                existing = uow.games.get(game.id)
            except UnknownGame:
                added = replace(game, created_at=self._clock.now(), version=1)
                uow.games.add(added)
                text, data = f"game {game.id} added", {"game": game.id}
                uow.events.add(Event(self._clock.now(), "game_added", text, data=data))
                uow.commit()
                return added, True
        if replace(existing, created_at=game.created_at, version=game.version) != game:
            raise GameExists(
                f"game {game.id} exists with other settings: choose another id, or change it with "
                f"PUT /api/v1/games/{game.id} or 'orchestrator games change'"
            )
        return existing, False


def game_problems(game: Game) -> list[FieldProblem]:
    """What is wrong with a game, each with its field's dotted path."""
    problems: list[FieldProblem] = []
    if not _ID.fullmatch(game.id):
        problems.append(
            FieldProblem(
                "id", "use 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', no '.', '_' or '-' first"
            )
        )
    if not game.modes:
        problems.append(FieldProblem("modes", "name at least one mode"))
    for mode, spec in sorted(game.modes.items()):
        problems.extend(_spec_problems(f"modes.{mode}", mode, spec))
    return problems


def _spec_problems(at: str, mode: Mode, spec: LaunchSpec) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    for name, example in _PATHS.items():
        path = getattr(spec, name)
        if path is not None and not _ABSOLUTE.fullmatch(path):
            message = f"{path!r} is not an absolute Windows path such as {example}"
            problems.append(FieldProblem(f"{at}.{name}", message))
    if mode in STREAMING_MODES and spec.config_file:
        problem = config_file_problem(spec.config_file)
        if problem:
            problems.append(FieldProblem(f"{at}.config_file", problem))
    for name, value in spec.environment.items():
        if not _VARIABLE.fullmatch(name):
            message = f"variable {name!r}: a name has no = and no control character"
            problems.append(FieldProblem(f"{at}.environment", message))
        problems += _text_problems(f"{at}.environment", mode, f"{name}={value}")
    for position, argument in enumerate(spec.arguments):
        problems += _text_problems(f"{at}.arguments.{position}", mode, argument)
    return problems


def _text_problems(at: str, mode: Mode, text: str) -> list[FieldProblem]:
    if _CONTROL.search(text):
        return [FieldProblem(at, f"{text!r} has a control character")]
    if mode is Mode.EVENT_DRIVEN and (not text or _NOT_IN_CONFIG.search(text)):
        message = (
            f"{text!r} cannot be written into GamingAnywhere's config: no empty text, no # or ;, "
            "no // before another /, no [ at its start and no space at either end"
        )
        return [FieldProblem(at, message)]
    return []
