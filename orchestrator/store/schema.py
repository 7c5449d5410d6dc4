"""Alembic, driven from code: the migrations lie in ``db/``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from orchestrator.domain.errors import SchemaOutdated

_LOCK = "orchestrator_schema"


def default_migrations() -> Path:
    """The checkout's ``db`` folder, or where an installed wheel keeps it."""
    checkout = Path(__file__).resolve().parents[2] / "db"
    if (checkout / "env.py").is_file():
        return checkout
    return Path(sys.prefix) / "share" / "game-orchestrator" / "db"


def current_revision(engine: Engine) -> str | None:
    """The tables' revision; None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_empty(engine: Engine) -> bool:
    """Whether there is no table at all, neither ours nor anybody's."""
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


def upgrade(engine: Engine, migrations: Path) -> None:
    """To the newest revision, one process at a time; SchemaOutdated where a newer
    version of the broker made the tables."""
    _assert_known(engine, ScriptDirectory(str(migrations)))
    with _locked(engine) as connection:
        command.upgrade(_config(migrations, connection), "head")


def downgrade(engine: Engine, migrations: Path, revision: str) -> None:
    """Back to ``revision``; "base" removes every table."""
    with _locked(engine) as connection:
        command.downgrade(_config(migrations, connection), revision)


def prepare(engine: Engine, migrations: Path) -> None:
    """Create the tables of an empty database, or make sure that they fit."""
    scripts = ScriptDirectory(str(migrations))
    wanted = scripts.get_current_head()
    found = current_revision(engine)
    if found == wanted:
        return
    _assert_known(engine, scripts)
    if found is None and is_empty(engine):
        upgrade(engine, migrations)
        return
    if current_revision(engine) == wanted:
        return
    raise SchemaOutdated(
        f"the database is at revision {found or 'unknown'}, this version needs {wanted}: "
        "make a copy of it, then run 'orchestrator db upgrade'"
    )


def _assert_known(engine: Engine, scripts: ScriptDirectory) -> None:
    found = current_revision(engine)
    if found is None or found in {each.revision for each in scripts.walk_revisions()}:
        return
    raise SchemaOutdated(
        f"the database is at revision {found}, which this version "
        f"({scripts.get_current_head()}) does not know: another version made it. Run that "
        "version, or restore the copy that was made before its upgrade"
    )


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            writing = connection.execution_options(orchestrator_writes=True)
            with writing.begin():
                yield writing
            return
        connection.execute(text("SELECT GET_LOCK(:name, 60)"), {"name": _LOCK})
        connection.commit()
        try:
            yield connection
            connection.commit()
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
            connection.commit()


def _config(migrations: Path, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
