"""A private MariaDB, a private Kerberos KDC, and a store on each database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from alembic.script import ScriptDirectory

from orchestrator.store import Store
from orchestrator.store.schema import default_migrations
from tests.contract.kdc import Kdc, missing


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database on a mariadbd of our own, ended with the tests."""
    daemon = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    installer = shutil.which("mariadb-install-db")
    if daemon is None or installer is None:
        pytest.skip("mariadb-server is not installed")
    folder = tmp_path_factory.mktemp("mariadb")
    data = folder / "data"
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [
            installer,
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *user,
        ],
        check=True,
        capture_output=True,
    )
    port = _free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                daemon,
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={folder / 's'}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-flush-method=nosync",
                "--skip-innodb-doublewrite",
                "--innodb-buffer-pool-size=32M",
                "--max-connections=400",
                "--skip-log-bin",
                *user,
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _create_database(port, process, folder / "log")
        yield f"mysql+pymysql://root@127.0.0.1:{port}/orchestrator"
    finally:
        process.terminate()
        process.wait(30)


def _create_database(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            connection = pymysql.connect(host="127.0.0.1", port=port, user="root")
            break
        except pymysql.err.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(
                    f"mariadbd does not start: {log.read_text()[-2000:]}"
                ) from None
            process_waits(process, 0.1)
    with connection:
        connection.cursor().execute("CREATE DATABASE orchestrator CHARACTER SET utf8mb4")


def process_waits(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Let a process go on for a moment, noticing when it ends."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """A KDC of our own, ended with the tests."""
    absent = missing()
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    kdc = Kdc(tmp_path_factory.mktemp("kdc"))
    try:
        kdc.start()
        yield kdc
    finally:
        kdc.stop()


@pytest.fixture
def realm(kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> Kdc:
    """The KDC, and this process told of its realm."""
    for name, value in kdc.environment().items():
        monkeypatch.setenv(name, value)
    return kdc


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite3'}"
    url: str = request.getfixturevalue("mariadb")
    return _emptied(url)


def _emptied(url: str) -> str:
    """The database without a row. Its tables, which the first test made by
    migrating, stay: making them anew takes MariaDB seconds. Not so where a test
    has left another revision there."""
    port = int(url.split(":")[-1].split("/")[0])
    with pymysql.connect(
        host="127.0.0.1", port=port, user="root", database="orchestrator", autocommit=True
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
        cursor.execute("SHOW TABLES")
        tables = [table for (table,) in cursor.fetchall()]
        revision = None
        if "alembic_version" in tables:
            cursor.execute("SELECT version_num FROM alembic_version")
            revision = (cursor.fetchone() or (None,))[0]
        is_current = revision == ScriptDirectory(str(default_migrations())).get_current_head()
        for table in tables:
            if not is_current:
                cursor.execute(f"DROP TABLE `{table}`")
            elif table != "alembic_version":
                cursor.execute(f"DELETE FROM `{table}`")
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with its tables; nobody may keep a connection."""
    store = Store(database_url, pool_size=20)
    store.prepare()
    yield store
    assert store.connections_in_use() == 0
    store.close()
