"""Idempotency-Key: the second request with a key gets the first one's answer.

An answer that says "not now" is not kept, so that the same key can be tried
again. One that says "not known yet" (202) is made anew: what was started or
ended under a key is found again by it, as a session's id is made from the key.
That also makes it safe to take over a key whose first request died with its
process: at once where its session is settled, else after ``STALE``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta

from flask import Request, Response

from orchestrator.domain.errors import (
    FieldProblem,
    IdempotencyMismatch,
    InvalidRequest,
    RequestInProgress,
)
from orchestrator.domain.session import SessionState
from orchestrator.ports import Clock, StoredAnswer, UnitOfWork, UnitOfWorkFactory

HEADER = "Idempotency-Key"
STALE = timedelta(minutes=2)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "Location", "ETag")
_NOT_KNOWN_YET = 202
_LEAST_ERROR = 400


class IdempotencyKeys:
    """Claims keys before a request is handled and stores its answer afterwards."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        clock: Clock,
        session_id_for: Callable[[str, str], str],
    ) -> None:
        self._units = units
        self._clock = clock
        self._session_id_for = session_id_for

    def begin(self, owner: str, request: Request) -> Response | None:
        """None: handle the request. Else the stored answer."""
        key = self.key_of(request)
        if key is None:
            return None
        now, fingerprint = self._clock.now(), _fingerprint(request)
        with self._units() as uow:
            stored = uow.idempotency.begin(owner, key, fingerprint, now)
            if stored is not None and stored.fingerprint != fingerprint:
                raise IdempotencyMismatch(
                    f"{HEADER} {key!r} was used for another request: use a new key"
                )
            if stored is not None and stored.status is None:
                left = now - stored.begun_at > STALE or self._is_settled(uow, owner, key)
                if not left or not uow.idempotency.reclaim(owner, key, stored.begun_at, now):
                    raise RequestInProgress(f"the first request with {HEADER} {key!r} is under way")
            uow.commit()
        if stored is None or stored.status in {None, _NOT_KNOWN_YET}:
            return None
        return _replay(stored)

    def _is_settled(self, uow: UnitOfWork, owner: str, key: str) -> bool:
        session = uow.sessions.find(self._session_id_for(owner, key))
        return session is not None and session.state is not SessionState.STARTING

    def finish(self, owner: str, request: Request, response: Response) -> None:
        """Keep the answer, or give the key back."""
        key = self.key_of(request)
        if key is None:
            return
        with self._units() as uow:
            if response.status_code >= _LEAST_ERROR:
                uow.idempotency.forget(owner, key)
            else:
                headers = {
                    name: response.headers[name]
                    for name in _KEPT_HEADERS
                    if name in response.headers
                }
                body = response.get_data(as_text=True)
                uow.idempotency.finish(owner, key, response.status_code, body, headers)
            uow.commit()

    @staticmethod
    def key_of(request: Request) -> str | None:
        """The key that a POST carries; InvalidRequest where it cannot be one."""
        key = request.headers.get(HEADER)
        if key is None or request.method != "POST":
            return None
        if not _KEY.fullmatch(key):
            message = "use 1 to 255 printable ASCII characters without spaces, such as a UUID"
            raise InvalidRequest([FieldProblem(HEADER, message)])
        return key


def _fingerprint(request: Request) -> str:
    whole = request.method.encode() + b"\0" + request.full_path.encode() + b"\0"
    return hashlib.sha256(whole + request.get_data(cache=True)).hexdigest()


def _replay(stored: StoredAnswer) -> Response:
    response = Response(stored.body or "", status=stored.status)
    response.headers.update(stored.headers)
    response.headers["Idempotent-Replayed"] = "true"
    return response
