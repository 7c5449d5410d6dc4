"""Rows to domain objects and back. What is not queried is kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from orchestrator.domain.decision import Decision
from orchestrator.domain.event import Event
from orchestrator.domain.game import Game
from orchestrator.domain.launch import Launch
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load, Server, ServerRecord
from orchestrator.domain.session import Failure, Ports, Session, SessionState
from orchestrator.domain.token import Role, Token
from orchestrator.ports import Holding, SessionFact, StoredAnswer, Watched

SERVER = TypeAdapter(Server)
LOAD = TypeAdapter(Load)
GAME = TypeAdapter(Game)
DECISION = TypeAdapter(Decision)
JSON_OBJECT: TypeAdapter[Mapping[str, Any]] = TypeAdapter(Mapping[str, Any])
LAUNCHES: TypeAdapter[tuple[Launch, ...]] = TypeAdapter(tuple[Launch, ...])
HEADERS: TypeAdapter[Mapping[str, str]] = TypeAdapter(Mapping[str, str])


def dump(adapter: TypeAdapter[Any], value: object) -> str:
    """``value`` as JSON text."""
    return adapter.dump_json(value).decode("utf-8")


def server_from(row: Row[Any]) -> ServerRecord:
    """A row of ``servers``."""
    return ServerRecord(
        server=SERVER.validate_json(row.spec),
        health=Health(row.health),
        health_reason=row.health_reason,
        drained=bool(row.drained),
        present=bool(row.present),
        load=LOAD.validate_json(row.load_sample) if row.load_sample else None,
        checked_at=row.checked_at,
        version=row.version,
        answered_at=row.answered_at,
        health_since=row.health_since,
    )


def game_from(row: Row[Any]) -> Game:
    """A row of ``games``."""
    return GAME.validate_json(row.spec)


def session_values(session: Session) -> dict[str, Any]:
    """The columns of a session, but for its id, decision, version and idleness,
    which polls keep by themselves."""
    launch, error = session.launch, session.error
    return {
        "game_id": session.game_id,
        "mode": session.mode.value,
        "server_name": session.server,
        "stream_address": session.stream_address,
        "state": session.state.value,
        "stream_port": session.ports.stream,
        "control_port": session.ports.control,
        "concurrency": session.concurrency.value,
        "config_file": session.config_file,
        "requested_by": session.requested_by,
        "launch_pid": launch.pid if launch else None,
        "launch_created_at": launch.created_at if launch else None,
        "launch_image": launch.image if launch else None,
        "created_at": session.created_at,
        "updated_at": session.updated_at,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "ended_how": session.ended_how,
        "end_detail": session.end_detail,
        "error_code": error.code if error else None,
        "error_message": error.message if error else None,
        "companions": dump(LAUNCHES, session.companions) if session.companions else None,
    }


def session_from(row: Row[Any]) -> Session:
    """A row of ``sessions``."""
    launch = None
    if row.launch_pid is not None:
        launch = Launch(row.launch_pid, row.launch_created_at, row.launch_image)
    return Session(
        id=row.id,
        game_id=row.game_id,
        mode=Mode(row.mode),
        server=row.server_name,
        stream_address=row.stream_address,
        state=SessionState(row.state),
        ports=Ports(row.stream_port, row.control_port),
        decision=DECISION.validate_json(row.decision),
        created_at=row.created_at,
        updated_at=row.updated_at,
        concurrency=Concurrency(row.concurrency),
        config_file=row.config_file,
        requested_by=row.requested_by,
        launch=launch,
        started_at=row.started_at,
        ended_at=row.ended_at,
        ended_how=row.ended_how,
        end_detail=row.end_detail,
        error=Failure(row.error_code, row.error_message) if row.error_code else None,
        version=row.version,
        companions=LAUNCHES.validate_json(row.companions) if row.companions else (),
        idle_since=row.idle_since,
    )


def holding_from(row: Any) -> Holding:
    """The columns of ``sessions`` that placement needs."""
    return Holding(
        session_id=row.id,
        game_id=row.game_id,
        server=row.server_name,
        ports=Ports(row.stream_port, row.control_port),
        concurrency=Concurrency(row.concurrency),
        started_at=row.started_at,
    )


def poll_values(sample: Sample) -> dict[str, Any]:
    """The columns of ``servers`` that a poll may change, for a batch of them: an
    unanswered poll hands None for the last sample and answer, which keeps them."""
    load = sample.load
    return {
        "poll_name": sample.server,
        "poll_health": sample.health.value,
        "poll_reason": sample.reason,
        "poll_since": sample.health_since,
        "poll_at": sample.at,
        "poll_answered": None if sample.error else sample.at,
        "poll_load": None if load is None else dump(LOAD, load),
    }


def watched_from(row: Any) -> Watched:
    """The columns of ``sessions`` that polling needs."""
    return Watched(
        session_id=row.id,
        server=row.server_name,
        game_id=row.game_id,
        mode=Mode(row.mode),
        state=SessionState(row.state),
        stream_port=row.stream_port,
        launch=Launch(row.launch_pid, row.launch_created_at, row.launch_image),
        companions=LAUNCHES.validate_json(row.companions) if row.companions else (),
        started_at=row.started_at,
        idle_since=row.idle_since,
    )


def fact_from(row: Any) -> SessionFact:
    """The columns of ``sessions`` that statistics need."""
    return SessionFact(
        server=row.server_name,
        game_id=row.game_id,
        failed=row.state == SessionState.FAILED.value,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        error_code=row.error_code,
        error_message=row.error_message,
    )


def event_from(row: Row[Any]) -> Event:
    """A row of ``events``."""
    return Event(
        at=row.at,
        kind=row.kind,
        message=row.message,
        session_id=row.session_id,
        server=row.server_name,
        data=JSON_OBJECT.validate_json(row.data),
        id=row.id,
    )


def token_from(row: Row[Any]) -> Token:
    """A row of ``tokens``."""
    return Token(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        secret_digest=row.secret_digest,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def answer_from(row: Row[Any]) -> StoredAnswer:
    """A row of ``idempotency_keys``."""
    return StoredAnswer(
        fingerprint=row.fingerprint,
        status=row.status,
        body=row.body,
        headers=HEADERS.validate_json(row.headers) if row.headers else {},
        begun_at=row.begun_at,
    )
