"""Files to and from a server of the lab, with the connection breaking in between."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.bootstrap import default_scripts
from orchestrator.domain.errors import ConnectionLost, ScriptFailed
from orchestrator.domain.file import MISSING
from orchestrator.domain.server import Connection
from orchestrator.lab import Fault, FaultKind, LabServer, build_computer
from orchestrator.lab.windows import WindowsMachine
from orchestrator.lab.windows.computer import Computer
from orchestrator.transport import ScriptLibrary, WinrmGateway

USER, PASSWORD = "orchestrator", "secret"
FOLDER = r"C:\GamingAnywhere\config"
PATH = rf"{FOLDER}\遊戲 設定.conf"
PIECE = 256 * 1024


def some_bytes(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Host:
    """A lab server and a gateway to it."""

    def __init__(self, server: LabServer, computer: Computer) -> None:
        self.server = server
        self.files = computer.files
        self.connection = Connection(server.host, server.port, "http", "ntlm", USER, PASSWORD)
        self.gateway = WinrmGateway(
            {"a": self.connection}, ScriptLibrary(default_scripts()), call_timeout=3
        )

    def read(self, path: str = PATH) -> bytes:
        into = io.BytesIO()
        self.gateway.read_file("a", path, into)
        return into.getvalue()

    def leftovers(self) -> list[str]:
        return [each for each in self.files.listing(FOLDER) if each.endswith((".part", ".old"))]

    def part(self, content: bytes) -> str:
        return f"{PATH}.{sha256(content)[:16]}.part"


@pytest.fixture
def host() -> Iterator[Host]:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}) as server:
        host = Host(server, machine.computer)
        yield host
        host.gateway.close()


@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE, PIECE + 1, 1024 * 1024])
def test_a_file_comes_back_as_it_was_sent(host: Host, length: int) -> None:
    content = some_bytes(length)
    written = host.gateway.write_file("a", PATH, io.BytesIO(content), expected_hash=MISSING)
    assert (written.changed, written.length, written.hash) == (True, length, sha256(content))
    assert (written.previous_hash, written.backup) == (None, None)
    into = io.BytesIO()
    found = host.gateway.read_file("a", PATH, into)
    assert into.getvalue() == content
    assert (found.path, found.length, found.hash) == (PATH, length, sha256(content))
    assert host.leftovers() == []


def test_what_is_there_already_is_not_written_again(host: Host) -> None:
    host.files.write(PATH, b"same")
    assert not host.gateway.write_file("a", PATH, io.BytesIO(b"same")).changed
    assert not host.files.is_file(f"{PATH}.bak")


def test_what_was_replaced_is_kept_unless_nobody_wants_it(host: Host) -> None:
    host.files.write(PATH, b"first")
    written = host.gateway.write_file(
        "a", PATH, io.BytesIO(b"second"), expected_hash=sha256(b"first")
    )
    assert (written.previous_hash, written.backup) == (sha256(b"first"), f"{PATH}.bak")
    assert host.files.read(f"{PATH}.bak") == b"first"
    host.gateway.write_file("a", PATH, io.BytesIO(b"third"), keep_backup=False)
    assert host.files.read(f"{PATH}.bak") == b"first"


def test_a_file_that_changed_meanwhile_is_not_replaced(host: Host) -> None:
    host.files.write(PATH, b"another's")
    for expected in (sha256(b"mine"), MISSING):
        with pytest.raises(ScriptFailed) as failed:
            host.gateway.write_file("a", PATH, io.BytesIO(b"new"), expected_hash=expected)
        assert failed.value.code == "file_changed"
    assert host.files.read(PATH) == b"another's"
    assert host.leftovers() == []


def test_a_file_that_changes_during_the_transfer_is_not_replaced(host: Host) -> None:
    """The change comes with the second piece on its way."""
    host.files.write(PATH, b"before")
    content = some_bytes(3 * PIECE)

    class Changing(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            if offset == 2 * PIECE:
                host.files.write(PATH, b"another's")
            return super().seek(offset, whence)

    with pytest.raises(ScriptFailed) as failed:
        host.gateway.write_file("a", PATH, Changing(content), expected_hash=sha256(b"before"))
    assert failed.value.code == "file_changed"
    assert host.files.read(PATH) == b"another's"
    assert host.leftovers() == []


def test_a_file_that_changes_while_it_is_read_is_refused(host: Host) -> None:
    host.files.write(PATH, some_bytes(3 * PIECE))

    class Changing(io.BytesIO):
        def write(self, data: object) -> int:
            host.files.write(PATH, some_bytes(3 * PIECE, seed=2), datetime(2030, 1, 1, tzinfo=UTC))
            return super().write(data)  # type: ignore[arg-type]

    with pytest.raises(ScriptFailed) as failed:
        host.gateway.read_file("a", PATH, Changing())
    assert failed.value.code == "file_changed"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (rf"{FOLDER}\none.conf", "file_missing"),
        (FOLDER, "file_missing"),
        (r"config\relative.conf", "bad_parameter"),
        (r"\\.\PhysicalDrive0", "bad_parameter"),
        (rf"{FOLDER}\stream.conf:hidden", "bad_parameter"),
        (rf"{FOLDER}\denied.conf", "access_denied"),
        (rf"{FOLDER}\locked.conf", "file_in_use"),
        (rf"{FOLDER}\big.conf", "file_too_big"),
    ],
)
def test_a_read_that_cannot_work_has_its_own_code(host: Host, path: str, code: str) -> None:
    for name in ("denied", "locked", "big"):
        host.files.write(rf"{FOLDER}\{name}.conf", b"x" * 11)
    host.files.deny(rf"{FOLDER}\denied.conf")
    host.files.lock(rf"{FOLDER}\locked.conf")
    with pytest.raises(ScriptFailed) as failed:
        host.gateway.read_file("a", path, io.BytesIO(), max_bytes=10)
    assert failed.value.code == code


def test_a_folder_that_is_missing_is_not_made(host: Host) -> None:
    with pytest.raises(ScriptFailed) as failed:
        host.gateway.write_file("a", r"C:\None\new.conf", io.BytesIO(b"x"))
    assert failed.value.code == "folder_missing"
    assert not host.files.is_folder(r"C:\None")


BREAKS = [
    Fault(action, kind, skip=skip)
    for action, kind, skip in [
        ("Command", FaultKind.DROP_BEFORE, 1),
        ("Command", FaultKind.DROP_AFTER, 1),
        ("Send", FaultKind.DROP_BEFORE, 3),
        ("Send", FaultKind.DROP_AFTER, 3),
        ("Send", FaultKind.DROP_MIDWAY, 4),
        ("Send", FaultKind.DROP_BEFORE, 4),
        ("Send", FaultKind.DROP_AFTER, 4),
        ("Receive", FaultKind.DROP_BEFORE, 1),
        ("Receive", FaultKind.DROP_AFTER, 1),
        ("Receive", FaultKind.DROP_MIDWAY, 1),
        ("Receive", FaultKind.GARBAGE, 1),
        ("Signal", FaultKind.DROP_AFTER, 0),
        ("*", FaultKind.UNAVAILABLE, 7),
        ("Command", FaultKind.QUOTA_SHELLS, 1),
    ]
]


@pytest.mark.parametrize("fault", BREAKS, ids=lambda f: f"{f.action}-{f.kind.value}-{f.skip}")
def test_a_connection_cut_in_mid_transfer_costs_a_piece_and_nothing_else(
    host: Host, fault: Fault
) -> None:
    content = some_bytes(3 * PIECE + 7)
    host.server.faults.add(fault)
    assert host.gateway.write_file("a", PATH, io.BytesIO(content)).hash == sha256(content)
    host.server.faults.clear()
    assert host.files.read(PATH) == content
    assert host.leftovers() == []
    host.server.faults.add(fault)
    assert host.read() == content


def test_a_last_piece_that_is_answered_twice_replaces_once(host: Host) -> None:
    """Its answer is lost on both connections: the repetition finds the work done."""
    host.files.write(PATH, b"before")
    for _ in range(2):
        host.server.faults.add(Fault("Receive", FaultKind.DROP_AFTER))
    written = host.gateway.write_file(
        "a", PATH, io.BytesIO(b"after"), expected_hash=sha256(b"before")
    )
    assert written.hash == sha256(b"after")
    assert not written.changed
    assert host.files.read(PATH) == b"after"
    assert host.files.read(f"{PATH}.bak") == b"before"


def test_a_transfer_that_broke_goes_on_where_it_stopped(host: Host) -> None:
    content = some_bytes(6 * PIECE)
    host.server.faults.add(Fault("Send", FaultKind.DROP_BEFORE, times=None, skip=12))
    with pytest.raises(ConnectionLost):
        host.gateway.write_file("a", PATH, io.BytesIO(content))
    host.server.faults.clear()
    held = host.files.read(host.part(content)) or b""
    assert PIECE <= len(held) < len(content)
    assert content.startswith(held)
    host.gateway.close()

    host.gateway = WinrmGateway({"a": host.connection}, ScriptLibrary(default_scripts()))
    before = host.server.stats["requests"]
    assert host.gateway.write_file("a", PATH, io.BytesIO(content)).hash == sha256(content)
    resumed = host.server.stats["requests"] - before
    before = host.server.stats["requests"]
    host.gateway.write_file("a", PATH, io.BytesIO(some_bytes(6 * PIECE, seed=2)))
    assert resumed < host.server.stats["requests"] - before
    assert host.leftovers() == []


def test_a_read_that_broke_goes_on_where_it_stopped(host: Host) -> None:
    content = some_bytes(5 * PIECE)
    host.files.write(PATH, content)
    into = io.BytesIO()
    host.server.faults.add(Fault("Send", FaultKind.DROP_BEFORE, times=None, skip=2))
    with pytest.raises(ConnectionLost):
        host.gateway.read_file("a", PATH, into)
    host.server.faults.clear()
    held = into.getvalue()
    assert held == content[: 2 * PIECE]
    assert host.gateway.read_file("a", PATH, into, resume=True).hash == sha256(content)
    assert into.getvalue() == content


def test_a_resumed_read_of_another_content_is_refused_and_forgotten(host: Host) -> None:
    host.files.write(PATH, b"x" * 10)
    into = io.BytesIO(b"y" * 4)
    with pytest.raises(ScriptFailed) as failed:
        host.gateway.read_file("a", PATH, into, resume=True)
    assert failed.value.code == "file_changed"
    assert into.getvalue() == b""


def test_a_damaged_part_is_thrown_away_and_sent_anew(host: Host) -> None:
    content = some_bytes(2 * PIECE)
    host.files.write(host.part(content), b"\0" * PIECE)
    assert host.gateway.write_file("a", PATH, io.BytesIO(content)).hash == sha256(content)
    assert host.files.read(PATH) == content
    assert host.leftovers() == []


def test_a_part_that_nobody_goes_on_with_is_removed_after_a_day(host: Host) -> None:
    now = datetime.now(UTC)
    for name, age in (("a" * 16, 25), ("b" * 16, 23)):
        host.files.write(f"{PATH}.{name}.part", b"x", now - timedelta(hours=age))
    host.files.write(rf"{FOLDER}\mine.part", b"x", now - timedelta(days=9))
    host.gateway.write_file("a", PATH, io.BytesIO(b"new"))
    assert host.leftovers() == [rf"{FOLDER}\mine.part", f"{PATH}.{'b' * 16}.part"]


CLIENT = textwrap.dedent("""
    import json, logging, sys, tracemalloc
    import structlog
    from pathlib import Path
    from orchestrator.bootstrap import default_scripts
    from orchestrator.domain.server import Connection
    from orchestrator.transport import ScriptLibrary, WinrmGateway
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    host, port, path, source, copy = sys.argv[1:]
    connection = Connection(host, int(port), "http", "ntlm", "orchestrator", "secret")
    gateway = WinrmGateway({"a": connection}, ScriptLibrary(default_scripts()))
    tracemalloc.start()
    with open(source, "rb") as content, open(copy, "w+b") as into:
        written = gateway.write_file("a", path, content)
        found = gateway.read_file("a", path, into)
    peak = tracemalloc.get_traced_memory()[1]
    gateway.close()
    print(json.dumps({"hashes": [written.hash, found.hash], "peak": peak}))
""")


def test_a_large_file_takes_no_more_memory_than_a_few_pieces(host: Host, tmp_path: Path) -> None:
    """The client is a process of its own: the lab keeps its files in memory."""
    content = some_bytes(8 * 1024 * 1024)
    (tmp_path / "source").write_bytes(content)
    arguments = [host.server.host, str(host.server.port), PATH, "source", "copy"]
    client = subprocess.run(
        [sys.executable, "-c", CLIENT, *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=120,
        check=True,
    )
    told = json.loads(client.stdout.splitlines()[-1])
    assert told["hashes"] == [sha256(content)] * 2
    assert (tmp_path / "copy").read_bytes() == content
    assert told["peak"] < 7 * 1024 * 1024
