"""Where a database is: its URL, whether it is there, and what to say where it is not."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from orchestrator.domain.errors import (
    Contention,
    DatabaseMissing,
    DatabaseUnusable,
    InvalidSetting,
    OrchestratorError,
    StoreUnavailable,
)

_CONTENDED = frozenset({1020, 1213})
"""MariaDB: record changed since it was read, deadlock."""

_OVERTAKEN = frozenset({sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_LOCKED_SHAREDCACHE})
"""SQLite: the file was written since it was read; connections in memory that share it."""

_NO_SUCH_DATABASE = 1049
_REFUSED = frozenset({1044, 1045, 1698})
"""MariaDB: no access to the database, wrong password, login by socket only."""

_ANOTHER = "name another one with --database or ORCHESTRATOR_DATABASE"
_NOT_OPENED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


@dataclass(frozen=True, slots=True)
class Place:
    """A database's address. ``file`` is SQLite's, where it is not in memory."""

    url: URL
    file: Path | None = None

    def __str__(self) -> str:
        """As people are told it: without the password."""
        return str(self.file or self.url.set(query={}))

    def is_there(self) -> bool:
        """False where SQLite would make its file, or fill one that is empty."""
        try:
            return self.file is None or self.file.is_dir() or self.file.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # Opening it tells what is in the way.

    def missing(self, what: str = "there is no database at") -> DatabaseMissing:
        """What to do where a command needs the broker's database and finds none."""
        return DatabaseMissing(
            f"{what} {self}: name the broker's with --database or ORCHESTRATOR_DATABASE, "
            "or make a new one with 'orchestrator serve' or 'orchestrator db upgrade'"
        )

    def gone(self) -> DatabaseMissing:
        """What to do where the file was there, and is no more."""
        return DatabaseMissing(
            f"the database is gone from {self}: put its file back, or start the broker anew "
            "to begin with an empty one"
        )

    def translate(self, error: SQLAlchemyError) -> OrchestratorError:
        """Contention where another transaction got in the way, else what is wrong here."""
        cause = error.orig if isinstance(error, DBAPIError) else None
        if isinstance(cause, sqlite3.Error):
            return self._sqlite(cause)
        code = cause.args[0] if cause is not None and cause.args else None
        said = cause.args[-1] if cause is not None and cause.args else error
        if code in _CONTENDED:
            return Contention(f"another transaction was faster: {said}")
        if code == _NO_SUCH_DATABASE:
            return DatabaseMissing(
                f"there is no database at {self}: make it there with CREATE DATABASE, or {_ANOTHER}"
            )
        if code in _REFUSED:
            return DatabaseUnusable(
                f"the database at {self} refuses the login: {said}. Put the right user and "
                "password into ORCHESTRATOR_DATABASE"
            )
        return StoreUnavailable(f"the database at {self} does not work: {said}")

    def _sqlite(self, cause: sqlite3.Error) -> OrchestratorError:
        if getattr(cause, "sqlite_errorcode", None) in _OVERTAKEN:
            return Contention(f"another transaction was faster: {cause}")
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            return DatabaseUnusable(f"{self} is a file, but not an SQLite database: {_ANOTHER}")
        if code == sqlite3.SQLITE_CORRUPT:
            return DatabaseUnusable(
                f"the database {self} is damaged ({cause}): put back a copy of it, or {_ANOTHER}"
            )
        if code in _NOT_OPENED and (obstacle := self._obstacle()):
            return DatabaseUnusable(f"the database {self} cannot be opened: {obstacle}")
        return StoreUnavailable(f"the database {self} does not work: {cause}")

    def _obstacle(self) -> str | None:
        """Why SQLite may not open or write its file, with what to do; None where all is well."""
        if self.file is None:
            return None
        folder = self.file.parent
        if self.file.is_dir():
            return (
                f"it is a folder; name a file in it, such as {self.file / 'orchestrator.sqlite3'}"
            )
        if not folder.is_dir():
            return f"there is no folder {folder}; make it, or {_ANOTHER}"
        if not os.access(folder, os.W_OK | os.X_OK):
            return (
                f"this user may not write in the folder {folder}, where SQLite keeps its log "
                f"beside the file; give it the right to, or {_ANOTHER}"
            )
        if self.file.exists() and not os.access(self.file, os.R_OK | os.W_OK):
            return f"this user may not read and write the file; give it the right to, or {_ANOTHER}"
        if self.url.query.get("mode") == "ro":
            return "its URL says mode=ro; leave that out"
        return None


def place_of(url: str) -> Place:
    """The place that a database URL names; InvalidSetting where it names none."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url("cannot be read") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            # Each connection would have a database of its own, lost at its end.
            raise _bad_url("names no file")
        return Place(parsed, _sqlite_file(parsed.database, parsed))
    if backend in {"mysql", "mariadb"}:
        url_ = parsed.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
        return Place(url_)
    raise _bad_url(f"names {backend}, which is not supported")


def _sqlite_file(database: str, url: URL) -> Path | None:
    if not database.startswith("file:"):
        return Path(database).absolute()
    if url.query.get("mode") == "memory":
        return None
    return Path(unquote(database.removeprefix("file:"))).absolute()


def _bad_url(what: str) -> OrchestratorError:
    return InvalidSetting(
        f"the database URL {what}: write sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/NAME"
    )
