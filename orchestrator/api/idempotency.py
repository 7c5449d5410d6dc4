"""Idempotency-Key: the second request with a key gets the first one's answer.

An answer that says "not now" is not kept, so that the same key can be tried
again. A key whose first request died with its process can be taken over after
``STALE``; starting is safe then, because a session's id is made from the key.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from flask import Request, Response

from orchestrator.domain.errors import (
    FieldProblem,
    IdempotencyMismatch,
    InvalidRequest,
    RequestInProgress,
)
from orchestrator.ports import Clock, StoredAnswer, UnitOfWorkFactory

HEADER = "Idempotency-Key"
STALE = timedelta(minutes=2)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "Location", "ETag")
_LEAST_ERROR = 400


class IdempotencyKeys:
    """Claims keys before a request is handled and stores its answer afterwards."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock) -> None:
        self._units = units
        self._clock = clock

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
                stale = now - stored.begun_at > STALE
                if not stale or not uow.idempotency.reclaim(owner, key, stored.begun_at, now):
                    raise RequestInProgress(f"the first request with {HEADER} {key!r} is under way")
                stored = None
            uow.commit()
        return None if stored is None else _replay(stored)

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
