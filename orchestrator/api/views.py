"""Domain objects as JSON, the same for the API and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.api.models import GameBody, GameFields
from orchestrator.api.near_names import unknown_field
from orchestrator.api.plain_words import plain_words
from orchestrator.domain.check import CheckedServer
from orchestrator.domain.decision import Decision
from orchestrator.domain.errors import FieldProblem, InvalidRequest
from orchestrator.domain.event import Event
from orchestrator.domain.game import Game, LaunchSpec, Limits, Needs, Ready
from orchestrator.domain.server import ServerRecord
from orchestrator.domain.session import Session

CONTROL_PROTO = "udp"
"""GamingAnywhere's default for control-proto."""

_DECISION = TypeAdapter(Decision)


def moment(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with Z."""
    return None if value is None else value.astimezone(UTC).isoformat()[:-6] + "Z"


def session_json(session: Session) -> dict[str, Any]:
    """A session."""
    launch, error = session.launch, session.error
    process = None
    if launch is not None:
        process = {
            "pid": launch.pid,
            "created_at": moment(launch.created_at),
            "image": launch.image,
        }
    return {
        "id": session.id,
        "game": session.game_id,
        "mode": session.mode.value,
        "server": session.server,
        "state": session.state.value,
        "address": session.stream_address,
        "rtsp_url": session.rtsp_url,
        "rtsp_port": session.ports.stream,
        "control_port": session.ports.control,
        **_sunshine_json(session),
        "config_file": session.config_file,
        "requested_by": session.requested_by,
        "process": process,
        "created_at": moment(session.created_at),
        "updated_at": moment(session.updated_at),
        "started_at": moment(session.started_at),
        "idle_since": moment(session.idle_since),
        "ended_at": moment(session.ended_at),
        "ended_how": session.ended_how,
        "end_detail": session.end_detail,
        "error": {"code": error.code, "message": error.message} if error else None,
    }


def portal_started(session: Session) -> dict[str, Any]:
    """A session as the portal reads it."""
    return {
        "gamestatus": session.state.value,
        "IP": session.stream_address,
        "PID": session.launch.pid if session.launch else None,
        "session_id": session.id,
        "rtsp_url": session.rtsp_url,
        "rtsp_port": session.ports.stream,
        "control_port": session.ports.control,
        "control_proto": CONTROL_PROTO,
        **_sunshine_json(session),
    }


def _sunshine_json(session: Session) -> dict[str, Any]:
    """What Moonlight has to be told; null in every other mode."""
    app = session.sunshine_app
    return {"sunshine_port": session.ports.stream if app else None, "sunshine_app": app}


def check_json(checked: CheckedServer) -> dict[str, Any]:
    """What a server lacks."""
    return {
        "server": checked.server,
        "computer": checked.computer,
        "account": checked.account,
        "verdict": checked.verdict.value,
        "items": [
            {"name": i.name, "verdict": i.verdict.value, "found": i.found, "remedy": i.remedy}
            for i in checked.items
        ],
    }


def server_json(record: ServerRecord, used: int) -> dict[str, Any]:
    """A server; ``used`` is how many of its slots are taken."""
    server, load = record.server, record.load
    sample = None
    if load is not None:
        sample = {
            "at": moment(load.at),
            "cpu": load.cpu,
            "memory": load.memory,
            "memory_total_mb": load.memory_total_mb,
            "memory_free_mb": load.memory_free_mb,
            "gpu": load.gpu,
            "gpu_engines": dict(load.gpu_engines),
            "gpu_memory_used_mb": load.gpu_memory_used_mb,
            "disk": load.disk,
            "disk_total_mb": load.disk_total_mb,
            "disk_free_mb": load.disk_free_mb,
            "network_received": load.network_received,
            "network_sent": load.network_sent,
            "desktop": load.desktop,
            "desktop_user": load.desktop_user,
            "locked": load.locked,
            "booted_at": moment(load.booted_at),
        }
    return {
        "name": server.name,
        "site": server.site,
        "address": server.stream_address,
        "health": record.health.value,
        "health_reason": record.health_reason,
        "health_since": moment(record.health_since),
        "drained": record.drained,
        "present": record.present,
        "slots": {"total": server.slots, "used": used},
        "load": sample,
        "labels": dict(server.labels),
        "modes": sorted(mode.value for mode in server.modes),
        "games": None if server.games is None else sorted(server.games),
        "checked_at": moment(record.checked_at),
        "answered_at": moment(record.answered_at),
        "version": record.version,
    }


def game_json(game: Game) -> dict[str, Any]:
    """A game, in the shape that ``parse_game`` reads; the server adds ``created_at``."""
    body: dict[str, Any] = {
        "id": game.id,
        "title": game.title,
        "modes": {mode.value: _launch_json(spec) for mode, spec in sorted(game.modes.items())},
        "needs": {
            "cpu": game.needs.cpu,
            "gpu": game.needs.gpu,
            "memory_mb": game.needs.memory_mb,
        },
        "labels": dict(game.labels),
        "limits": {"duration": game.limits.duration, "idle": game.limits.idle},
    }
    if game.created_at is not None:
        body["created_at"] = moment(game.created_at)
    return body


def parse_game(body: object) -> Game:
    """A game from its JSON; InvalidRequest names the wrong fields."""
    try:
        fields = GameBody.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(field_problems(error)) from None
    return game_from(fields, fields.id)


def game_from(body: GameFields, game_id: str) -> Game:
    """A validated body as a game."""
    modes = {
        mode: LaunchSpec(
            executable=launch.executable,
            arguments=tuple(launch.arguments),
            working_directory=launch.working_directory,
            environment=dict(launch.environment),
            config_file=launch.config_file,
            hook_type=launch.hook_type,
            elevated=launch.elevated,
            ready=Ready(launch.ready),
            ready_timeout=launch.ready_timeout,
            concurrency=launch.concurrency,
        )
        for mode, launch in body.modes.items()
    }
    needs = Needs(body.needs.cpu, body.needs.gpu, body.needs.memory_mb)
    limits = Limits(body.limits.duration, body.limits.idle)
    return Game(game_id, body.title or game_id, modes, needs, dict(body.labels), limits=limits)


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision."""
    value: dict[str, Any] = _DECISION.dump_python(decision, mode="json")
    return value


def parse_decision(body: Mapping[str, Any]) -> Decision:
    """A decision from its JSON."""
    return _DECISION.validate_python(
        {name: body[name] for name in ("strategy", "seed", "chosen", "verdicts")}
    )


def event_json(event: Event) -> dict[str, Any]:
    """An event."""
    return {
        "id": event.id,
        "at": moment(event.at),
        "kind": event.kind,
        "message": event.message,
        "session": event.session_id,
        "server": event.server,
        "data": dict(event.data),
    }


def field_problems(error: ValidationError) -> Sequence[FieldProblem]:
    """Pydantic's findings, each with its dotted path."""
    return [
        _field_problem(error.title, found["loc"], found["type"], found["msg"], found.get("ctx", {}))
        for found in error.errors(include_url=False, include_input=False)
    ]


def _field_problem(
    model: str,
    path: tuple[int | str, ...],
    kind: str,
    message: str,
    context: Mapping[str, Any],
) -> FieldProblem:
    if not path and kind == "model_type":
        return FieldProblem("body", "must be a JSON object")
    if path and kind == "extra_forbidden":
        message = unknown_field(model, path)
    in_query = model.endswith("Query")
    field = str(path[-1]) if path else "body"
    message = plain_words(field, kind, message, context, in_query=in_query)
    if in_query:
        path = path[:1]  # A value given several times is a list to Pydantic only.
    if path[-1:] == ("[key]",):
        key = path[-2]
        return FieldProblem(".".join(map(str, path[:-2])), f"the name {key!r}: {message}")
    return FieldProblem(".".join(map(str, path)) or "body", message)


def _launch_json(spec: LaunchSpec) -> dict[str, Any]:
    return {
        "executable": spec.executable,
        "arguments": list(spec.arguments),
        "working_directory": spec.working_directory,
        "environment": dict(spec.environment),
        "config_file": spec.config_file,
        "hook_type": spec.hook_type,
        "elevated": spec.elevated,
        "ready": spec.ready.value,
        "ready_timeout": spec.ready_timeout,
        "concurrency": spec.concurrency.value if spec.concurrency else None,
    }
