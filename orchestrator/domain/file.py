"""A file on a server, as reading and writing it tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MISSING = "missing"
"""In place of an expected hash: there must be no such file."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that was read: its length in bytes, and its SHA-256 in lower case."""

    path: str
    length: int
    hash: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written.

    ``changed`` is False where it had that content already. ``previous_hash``
    is that of what it replaced, and ``backup`` the path where this is kept.
    """

    path: str
    length: int
    hash: str
    changed: bool
    previous_hash: str | None = None
    backup: str | None = None
