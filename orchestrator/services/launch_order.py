"""From a game's entry and a session to what the server is asked to do."""

from __future__ import annotations

import re

from orchestrator.domain.errors import FieldProblem, InvalidRequest
from orchestrator.domain.game import Game, LaunchSpec
from orchestrator.domain.launch import LaunchOrder
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Server
from orchestrator.domain.session import Ports, Session

STREAMING_MODES = frozenset({Mode.PERIODIC, Mode.EVENT_DRIVEN})

_CONFIG_FILE = re.compile(r"[^\x00-\x1f<>:\"|?*/\\]+(?:[/\\][^\x00-\x1f<>:\"|?*/\\]+)*")


def spec_for(game: Game, mode: Mode) -> LaunchSpec:
    """How ``game`` is launched in ``mode``; InvalidRequest where it is not."""
    spec = game.modes.get(mode)
    if spec is not None:
        return spec
    offered = ", ".join(sorted(game.modes)) or "none"
    message = f"game {game.id} has no mode {mode}; it has: {offered}"
    raise InvalidRequest([FieldProblem("mode", message)])


def config_file_for(spec: LaunchSpec, mode: Mode, asked: str | None) -> str | None:
    """The config file a session uses, relative to its server's config directory."""
    if mode not in STREAMING_MODES:
        return None
    chosen = asked or spec.config_file
    if not chosen:
        raise InvalidRequest(
            [FieldProblem("config_file", f"mode {mode} needs one: name a .conf file")]
        )
    problem = config_file_problem(chosen)
    if problem:
        raise InvalidRequest([FieldProblem("config_file", problem)])
    return chosen.replace("/", "\\")


def config_file_problem(path: str) -> str | None:
    """Why ``path`` cannot name a config, or None."""
    if not _CONFIG_FILE.fullmatch(path) or {".", ".."} & set(re.split(r"[/\\]", path)):
        return (
            f"{path!r} is not a path inside the config directory: write it as 'folder\\name.conf'"
        )
    return None


def sunshine_ports(server: Server) -> Ports:
    """What a session in mode sunshine holds: where Moonlight connects, and the REST interface."""
    return Ports(server.sunshine_port, server.sunshine_port + 1)


def order_for(
    session: Session, spec: LaunchSpec, server: Server, player_address: str | None = None
) -> LaunchOrder:
    """The launch order of a reserved session."""
    streaming = session.mode in STREAMING_MODES
    config = session.config_file if streaming else None
    return LaunchOrder(
        session_id=session.id,
        mode=session.mode.value,
        executable=spec.executable,
        stream_port=session.ports.stream,
        control_port=session.ports.control,
        arguments=spec.arguments,
        working_directory=spec.working_directory,
        environment=tuple(sorted(spec.environment.items())),
        config_path=f"{server.config_directory.rstrip(chr(92))}\\{config}" if config else None,
        ga_directory=server.ga_directory if streaming else None,
        ready=spec.ready.value,
        ready_timeout=spec.ready_timeout,
        elevated=spec.elevated,
        player_address=player_address,
        app_name=session.sunshine_app,
    )
