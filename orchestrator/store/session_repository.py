"""Sessions and the ports they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from orchestrator.domain.errors import Contention, UnknownSession
from orchestrator.domain.session import ACTIVE_STATES, Ports, Session, SessionState
from orchestrator.ports import Holding, SessionFact, SessionQuery, Watched
from orchestrator.store import rows, tables

_TABLE = tables.sessions
_ACTIVE = _TABLE.c.state.in_([state.value for state in sorted(ACTIVE_STATES)])

_POLLED = (SessionState.RUNNING.value, SessionState.LOST.value)


class Sessions:
    """SessionRepository on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, session_id: str) -> Session | None:
        """One session, or None."""
        row = self._connection.execute(
            select(_TABLE).where(_TABLE.c.id == session_id)
        ).one_or_none()
        return None if row is None else rows.session_from(row)

    def get(self, session_id: str) -> Session:
        """One session; UnknownSession where there is none."""
        session = self.find(session_id)
        if session is None:
            raise UnknownSession(f"no session {session_id!r}")
        return session

    def list(self, query: SessionQuery) -> Sequence[Session]:
        """A page of sessions, newest first."""
        statement = select(_TABLE).order_by(_TABLE.c.created_at.desc(), _TABLE.c.id.desc())
        if query.states is not None:
            statement = statement.where(_TABLE.c.state.in_([s.value for s in query.states]))
        if query.server is not None:
            statement = statement.where(_TABLE.c.server_name == query.server)
        if query.game_id is not None:
            statement = statement.where(_TABLE.c.game_id == query.game_id)
        if query.before is not None:
            last = self.get(query.before)
            older = _TABLE.c.created_at < last.created_at
            same = and_(_TABLE.c.created_at == last.created_at, _TABLE.c.id < last.id)
            statement = statement.where(or_(older, same))
        found = self._connection.execute(statement.limit(query.limit))
        return [rows.session_from(row) for row in found]

    def active(self) -> Sequence[Session]:
        """Every session that holds a slot, the oldest first."""
        found = self._connection.execute(
            select(_TABLE).where(_ACTIVE).order_by(_TABLE.c.created_at, _TABLE.c.id)
        )
        return [rows.session_from(row) for row in found]

    def holdings(self) -> Sequence[Holding]:
        """What every active session holds."""
        columns = _TABLE.c
        found = self._connection.execute(
            select(
                columns.id,
                columns.game_id,
                columns.server_name,
                columns.stream_port,
                columns.control_port,
                columns.concurrency,
                columns.started_at,
            ).where(_ACTIVE)
        )
        return [rows.holding_from(row) for row in found]

    def watched(self) -> Sequence[Watched]:
        """What polling needs of every session that runs or is lost."""
        columns = _TABLE.c
        found = self._connection.execute(
            select(
                columns.id,
                columns.server_name,
                columns.game_id,
                columns.mode,
                columns.state,
                columns.stream_port,
                columns.launch_pid,
                columns.launch_created_at,
                columns.launch_image,
                columns.companions,
                columns.started_at,
                columns.idle_since,
            ).where(columns.state.in_(_POLLED), columns.launch_pid.is_not(None))
        )
        return [rows.watched_from(row) for row in found]

    def record_idle(self, since: Mapping[str, datetime | None]) -> None:
        """Keep since when sessions have no client."""
        if since:
            self._connection.execute(
                update(_TABLE)
                .where(_TABLE.c.id == bindparam("session"))
                .values(idle_since=bindparam("since")),
                [{"session": id_, "since": at} for id_, at in sorted(since.items())],
            )

    def facts(self, since: datetime, until: datetime) -> Sequence[SessionFact]:
        """What statistics need of every session that was there in a time."""
        c = _TABLE.c
        wanted = (
            c.server_name,
            c.game_id,
            c.state,
            c.created_at,
            c.started_at,
            c.ended_at,
            c.error_code,
            c.error_message,
        )
        found = self._connection.execute(
            select(*wanted).where(c.created_at >= since, c.created_at < until)
        ).all()
        earlier = self._connection.execute(
            select(*wanted).where(
                c.created_at < since, or_(c.ended_at >= since, and_(c.ended_at.is_(None), _ACTIVE))
            )
        ).all()
        return sorted(map(rows.fact_from, [*earlier, *found]), key=lambda fact: fact.created_at)

    def count_active(self) -> Mapping[SessionState, int]:
        """How many sessions are in each state that holds a slot."""
        found = self._connection.execute(
            select(_TABLE.c.state, func.count()).where(_ACTIVE).group_by(_TABLE.c.state)
        )
        return {SessionState(state): count for state, count in found}

    def reserve(self, session: Session, server_version: int) -> None:
        """Insert a session and take its slot and ports."""
        server = tables.servers.c
        claimed = self._connection.execute(
            update(tables.servers)
            .where(server.name == session.server, server.version == server_version)
            .values(version=server_version + 1)
        )
        if claimed.rowcount != 1:
            raise Contention(f"server {session.server} changed while it was being reserved")
        values = rows.session_values(session)
        decision = rows.dump(rows.DECISION, session.decision)
        try:
            self._connection.execute(
                insert(_TABLE).values(id=session.id, decision=decision, version=1, **values)
            )
            self._take_ports(session)
        except IntegrityError as error:
            raise Contention(
                f"session {session.id} or its ports on {session.server} were taken meanwhile"
            ) from error

    def change_ports(self, session: Session, ports: Ports) -> Session:
        """Give an active session other ports of its server, in place of its own."""
        changed = self.save(replace(session, ports=ports))
        self._give_ports_back(session)
        try:
            self._take_ports(changed)
        except IntegrityError as error:
            raise Contention(f"ports on {session.server} were taken meanwhile") from error
        return changed

    def save(self, session: Session) -> Session:
        """Update; Contention where the stored version is not the session's."""
        done = self._connection.execute(
            update(_TABLE)
            .where(_TABLE.c.id == session.id, _TABLE.c.version == session.version)
            .values(version=session.version + 1, **rows.session_values(session))
        )
        if done.rowcount != 1:
            raise Contention(f"session {session.id} changed meanwhile")
        if not session.state.is_active:
            self._give_ports_back(session)
        return replace(session, version=session.version + 1)

    def _take_ports(self, session: Session) -> None:
        self._connection.execute(
            insert(tables.session_ports),
            [
                {"server_name": session.server, "port": port, "session_id": session.id}
                for port in (session.ports.stream, session.ports.control)
            ],
        )

    def _give_ports_back(self, session: Session) -> None:
        held = tables.session_ports.c.session_id == session.id
        self._connection.execute(delete(tables.session_ports).where(held))
