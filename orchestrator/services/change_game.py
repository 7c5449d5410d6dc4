"""Change a game of the catalogue, or take it out.

Neither pulls anything from under a session that is not over: what such a session
still depends on, which is how it was launched, what it adds to its server and when
it ends by itself, stays. The game's row is held meanwhile, and by each reservation
too, so that no session of it can begin between the look and the deed.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.errors import GameInUse, InvalidRequest, StaleVersion, UnknownGame
from orchestrator.domain.event import Event
from orchestrator.domain.game import Game
from orchestrator.domain.session import ACTIVE_STATES
from orchestrator.ports import Clock, SessionQuery, UnitOfWork, UnitOfWorkFactory
from orchestrator.services.add_game import game_problems
from orchestrator.services.retry import Retry

_MOST_NAMED = 3


class ChangeGame:
    """The use case. The same change again changes nothing."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock, retry: Retry) -> None:
        self._units = units
        self._clock = clock
        self._retry = retry

    def __call__(self, game: Game, by: str, version: int | None = None) -> Game:
        """Put ``game`` in the place of the one of its id; the game as stored.

        InvalidRequest names every wrong field; UnknownGame where there is none
        to change; StaleVersion where it is not at ``version``; GameInUse where a
        session that is not over depends on what would change.
        """
        problems = game_problems(game)
        if problems:
            raise InvalidRequest(problems)
        return self._retry(lambda: self._change(game, by, version))

    def _change(self, game: Game, by: str, version: int | None) -> Game:
        with self._units() as uow:
            try:
                before = uow.games.hold(game.id, to_change=True)
            except UnknownGame as error:
                raise UnknownGame(f"{error.message} to change: add it first") from None
            wanted = replace(game, created_at=before.created_at, version=before.version)
            if wanted == before:
                return before
            _check_version(before, version)
            if not _same_for_sessions(before, wanted):
                _check_unused(uow, before, "changing anything but its title and labels")
            after = uow.games.save(wanted)
            uow.events.add(_event(self._clock, "changed", game.id, by))
            uow.commit()
        return after


class RemoveGame:
    """The use case. What its sessions left, which names the game, stays readable."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock, retry: Retry) -> None:
        self._units = units
        self._clock = clock
        self._retry = retry

    def __call__(self, game_id: str, by: str, version: int | None = None) -> None:
        """Take it out of the catalogue.

        UnknownGame where it is not in it; StaleVersion where it is not at
        ``version``; GameInUse where a session of it is not over.
        """
        self._retry(lambda: self._remove(game_id, by, version))

    def _remove(self, game_id: str, by: str, version: int | None) -> None:
        with self._units() as uow:
            game = uow.games.hold(game_id, to_change=True)
            _check_version(game, version)
            _check_unused(uow, game, "removing it")
            uow.games.remove(game_id)
            uow.events.add(_event(self._clock, "removed", game_id, by))
            uow.commit()


def _event(clock: Clock, deed: str, game_id: str, by: str) -> Event:
    text = f"game {game_id} {deed} by {by}"
    return Event(clock.now(), f"game_{deed}", text, data={"game": game_id})


def _check_version(game: Game, version: int | None) -> None:
    if version not in (None, game.version):
        raise StaleVersion(f'game {game.id} is at version "{game.version}", not "{version}"')


def _same_for_sessions(before: Game, after: Game) -> bool:
    """Whether only what the next start asks for has changed."""
    return replace(after, title=before.title, labels=before.labels) == before


def _check_unused(uow: UnitOfWork, game: Game, deed: str) -> None:
    query = SessionQuery(states=ACTIVE_STATES, game_id=game.id, limit=_MOST_NAMED + 1)
    found = uow.sessions.list(query)
    if found:
        named = ", ".join(f"{s.id} ({s.state})" for s in found[:_MOST_NAMED])
        more = " and more" if len(found) > _MOST_NAMED else ""
        raise GameInUse(
            f"sessions of game {game.id} are not over: {named}{more}; end them before {deed}"
        )
