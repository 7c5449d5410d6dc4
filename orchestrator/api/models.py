"""What requests and answers look like: these models validate, and they are the OpenAPI."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
)
from pydantic_core import PydanticCustomError

from orchestrator.domain.check import Verdict
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.session import SessionState


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


AnyCaseMode = Annotated[Mode, BeforeValidator(_lower)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Address = Annotated[
    IPvAnyAddress | None,
    BeforeValidator(lambda value: value or None),
    Field(examples=["198.51.100.7"]),
]


def _share(value: float) -> float:
    """50 for a half would keep every other session off the server."""
    if not 0 <= value <= 1:
        raise ValueError("is a share: 1 is all of it, 50 % is 0.5")
    return value


def _no_boolean(value: Any) -> Any:
    """To Python true is 1: a PID, or a limit in seconds, that nobody meant."""
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "must be a number")
    return value


Share = Annotated[
    float, BeforeValidator(_no_boolean), AfterValidator(_share), Field(allow_inf_nan=False)
]
Whole = Annotated[int, BeforeValidator(_no_boolean)]


class Body(BaseModel):
    """A request body: a field that is not known is an error, not a typing mistake lost."""

    model_config = ConfigDict(extra="forbid", str_max_length=4096)


class PortalStart(Body):
    """The portal's start."""

    gameID: Name = Field(description="The game's id", examples=["supertux"])  # noqa: N815
    excutemode: AnyCaseMode = Field(description="How to launch it", examples=["event-driven"])
    configfile: str | None = Field(
        None,
        max_length=260,
        description="GamingAnywhere config, relative to the server's config directory",
        examples=["supertux.conf"],
    )
    playerip: Address = Field(None, description="Who alone may reach the stream")


class PortalStarted(BaseModel):
    """The portal's answer to a start."""

    gamestatus: Literal["running", "starting", "lost"]
    IP: str
    PID: int | None
    session_id: str
    rtsp_url: str | None
    rtsp_port: int
    control_port: int
    control_proto: str
    sunshine_port: int | None = Field(description="Where Moonlight connects, in mode sunshine")
    sunshine_app: str | None = Field(description="The app to start there")


class PortalEnd(Body):
    """The portal's end: ``serverip`` and ``pid`` as start_game returned them."""

    filename: str = Field("", max_length=260, examples=["supertux2.exe"])
    serverip: Name = Field(examples=["192.0.2.13"])
    pid: Whole = Field(ge=1, le=2**32 - 1, examples=[4242])
    session_id: str | None = Field(None, max_length=64)


class PortalEnded(BaseModel):
    """The portal's answer to an end."""

    gamestatus: Literal["ended", "ending", "failed"]
    session_id: str
    detail: str | None


class Launch(Body):
    """How a game is launched in one mode."""

    executable: str = Field(min_length=1, max_length=260, examples=[r"C:\Games\Chess\chess.exe"])
    arguments: list[Annotated[str, Field(max_length=1024)]] = Field([], max_length=64)
    working_directory: str | None = Field(None, max_length=260)
    environment: dict[Name, Annotated[str, Field(max_length=2048)]] = Field({}, max_length=64)
    config_file: str | None = Field(None, max_length=260, examples=["chess.conf"])
    hook_type: str | None = Field(None, max_length=16, examples=["sdl2"])
    elevated: bool = False
    ready: Literal["port", "process"] = "port"
    ready_timeout: Whole = Field(60, ge=1, le=600, description="Seconds")
    concurrency: Concurrency | None = Field(
        None, description="Whether it shares the desktop; else what its mode allows"
    )


class Needs(Body):
    """What a session adds to a server."""

    cpu: Share = Field(0.1, description="Share of the server's CPU, 1 is all of it")
    gpu: Share = Field(0.1, description="Share of its GPU")
    memory_mb: Whole = Field(512, ge=0, le=2**31 - 1, description="MiB")


class Limits(Body):
    """When a session is ended without being asked."""

    duration: Whole | None = Field(None, ge=60, le=30 * 86400, description="Seconds since it ran")
    idle: Whole | None = Field(
        None, ge=30, le=30 * 86400, description="Seconds since its last client left"
    )


class GameFields(Body):
    """What a game is, but for its id. The portal's names are understood too."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    title: str = Field(
        "", max_length=200, validation_alias=AliasChoices("title", "gamename"), examples=["Chess"]
    )
    modes: dict[Mode, Launch] = Field(
        min_length=1, examples=[{"process": {"executable": r"C:\Games\Chess\chess.exe"}}]
    )
    needs: Needs = Needs()
    labels: dict[Name, Name] = Field({}, max_length=64)
    limits: Limits = Limits()
    created_at: datetime | None = Field(
        None, description="Is not changed: what GET gave can be sent as it is"
    )


class GameBody(GameFields):
    """A game of the catalogue."""

    id: str = Field(
        min_length=1,
        max_length=64,
        validation_alias=AliasChoices("id", "gameID"),
        examples=["chess"],
    )


class GameEdit(GameFields):
    """The whole of a game that is there; what is left out gets its default."""

    id: str | None = Field(
        None,
        max_length=64,
        validation_alias=AliasChoices("id", "gameID"),
        description="As in the path",
    )


class GameView(BaseModel):
    """A game as the catalogue holds it."""

    id: str
    title: str
    modes: dict[str, dict[str, Any]]
    needs: dict[str, float]
    labels: dict[str, str]
    limits: dict[str, int | None]
    created_at: datetime | None


class PortalAdded(BaseModel):
    """The portal's answer to add_game."""

    gamestatus: Literal["added", "exists"]
    gameID: str  # noqa: N815


class SessionBody(Body):
    """A start."""

    game: Name = Field(examples=["supertux"])
    mode: Mode = Field(examples=["event-driven"])
    config_file: str | None = Field(None, max_length=260)
    strategy: str | None = Field(None, max_length=64, examples=["best-fit"])
    player_address: Address = Field(
        None, description="IP address that alone may reach the stream", examples=["198.51.100.7"]
    )


class SessionView(BaseModel):
    """A session."""

    id: str
    game: str
    mode: Mode
    server: str
    state: SessionState
    address: str
    rtsp_url: str | None
    rtsp_port: int
    control_port: int
    sunshine_port: int | None
    sunshine_app: str | None
    config_file: str | None
    requested_by: str
    process: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    idle_since: datetime | None
    ended_at: datetime | None
    ended_how: str | None
    end_detail: str | None
    error: dict[str, str] | None


class SessionList(BaseModel):
    """A page of sessions, newest first; ``next`` is the ``before`` of the next page."""

    sessions: list[SessionView]
    next: str | None


class SessionsQuery(BaseModel):
    """Which sessions to list."""

    model_config = ConfigDict(extra="forbid")

    state: list[SessionState] | None = None
    server: str | None = Field(None, max_length=128)
    game: str | None = Field(None, max_length=64)
    limit: int = Field(100, ge=1, le=1000)
    before: str | None = Field(None, max_length=64)


class ServerView(BaseModel):
    """A server with what the last poll found."""

    name: str
    site: str
    address: str
    health: str
    health_reason: str
    health_since: datetime | None
    drained: bool
    present: bool
    slots: dict[str, int]
    load: dict[str, Any] | None
    labels: dict[str, str]
    modes: list[str]
    games: list[str] | None
    checked_at: datetime | None
    answered_at: datetime | None
    version: int


class ServerList(BaseModel):
    """Every server."""

    servers: list[ServerView]


class CheckView(BaseModel):
    """What a server lacks before it can run games."""

    server: str
    computer: str
    account: str
    verdict: Verdict
    items: list[dict[str, str]] = Field(
        examples=[[{"name": "desktop", "verdict": "ok", "found": "GAME-01\\player", "remedy": ""}]]
    )


class GameList(BaseModel):
    """The catalogue."""

    games: list[GameView]


class DecisionView(BaseModel):
    """Why a server was chosen."""

    strategy: str
    seed: str
    chosen: str | None
    verdicts: list[dict[str, Any]]


class EventsQuery(BaseModel):
    """Which events to list."""

    model_config = ConfigDict(extra="forbid")

    session: str | None = Field(None, max_length=64)
    server: str | None = Field(None, max_length=128)
    limit: int = Field(100, ge=1, le=1000)


class EventList(BaseModel):
    """Events, newest first."""

    events: list[dict[str, Any]]


class SessionPath(BaseModel):
    """A session's id."""

    session_id: str = Field(max_length=64)


class ServerPath(BaseModel):
    """A server's name."""

    name: str = Field(max_length=128)


class GamePath(BaseModel):
    """A game's id."""

    game_id: str = Field(max_length=64)


class Health(BaseModel):
    """Alive or ready."""

    status: str
    missing: list[str] = []


class Ready(Health):
    """Ready, and how the servers are."""

    servers: dict[str, int] = Field({}, description="How many servers are in each health")


class Problem(BaseModel):
    """application/problem+json (RFC 9457) with a stable ``code``."""

    type: str = Field(examples=["urn:orchestrator:no_capacity"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["no_capacity"])
    retryable: bool
    instance: str = Field(description="The request's id, as in X-Request-Id")
    errors: list[dict[str, str]] | None = Field(None, description="Each wrong field")
    reasons: dict[str, str] | None = Field(None, description="Each server's reason")
    outcome: str | None = Field(None, description="Whether the server executed the command")
    server: str | None = Field(None, description="The server that was called")
    session_id: str | None = Field(None, description="The session that it befell")
    gamestatus: str | None = Field(None, description="On the portal's routes: failed")
