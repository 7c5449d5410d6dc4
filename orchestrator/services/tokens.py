"""Make, check and revoke bearer tokens.

A token reads ``orch_<id>_<secret>``: the id finds its row, the secret is
compared with the stored digest. The secret is shown once, when it is made.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from orchestrator.domain.errors import NotAuthenticated
from orchestrator.domain.event import Event
from orchestrator.domain.token import Role, Token, digest
from orchestrator.ports import Clock, UnitOfWorkFactory

_TOKEN = re.compile(r"orch_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Tokens:
    """The use cases around tokens."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock) -> None:
        self._units = units
        self._clock = clock

    def create(self, role: Role, name: str) -> tuple[Token, str]:
        """A new token and its text, which is not kept anywhere."""
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        token = Token(token_id, name, role, digest(secret), self._clock.now())
        with self._units() as uow:
            uow.tokens.add(token)
            message = f"token {token_id} ({name or 'unnamed'}) with role {role.value}"
            uow.events.add(Event(self._clock.now(), "token_created", message))
            uow.commit()
        return token, f"orch_{token_id}_{secret}"

    def authenticate(self, text: str) -> Token:
        """The token that ``text`` is; NotAuthenticated where it is none of ours."""
        parts = _TOKEN.fullmatch(text)
        if parts is not None:
            with self._units(read_only=True) as uow:
                token = uow.tokens.find(parts[1])
            if token is not None and token.matches(parts[2]):
                return token
        raise NotAuthenticated("the bearer token is unknown or revoked")

    def list(self) -> Sequence[Token]:
        """Every token, revoked ones included."""
        with self._units(read_only=True) as uow:
            return uow.tokens.list()

    def revoke(self, token_id: str) -> bool:
        """Make a token useless; False where there is none."""
        with self._units() as uow:
            found = uow.tokens.revoke(token_id, self._clock.now())
            uow.commit()
        return found
