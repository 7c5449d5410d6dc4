"""Databases that fall away under a store."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class Stranger:
    """Another program that keeps a SQLite file to itself."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def lock(self) -> None:
        self._connection.execute("BEGIN EXCLUSIVE")

    def unlock(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()
