"""Who may do what: roles and the tokens that carry them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """Roles; each may also do what the ones before it may.

    ``viewer`` reads; ``portal`` also starts and ends sessions; ``operator``
    also drains servers; ``admin`` does everything, games and configs included.
    """

    VIEWER = "viewer"
    PORTAL = "portal"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what ``needed`` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


def digest(secret: str) -> str:
    """SHA-256 of a token's secret, hex.

    A token is 256 random bits, so a slow password hash would add nothing.
    """
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token as stored: never its secret, only the digest."""

    id: str
    name: str
    role: Role
    secret_digest: str = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None

    def matches(self, secret: str) -> bool:
        """Whether ``secret`` is this token's and it is still valid."""
        return self.revoked_at is None and hmac.compare_digest(self.secret_digest, digest(secret))
