"""What is done on Windows servers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import BinaryIO, Protocol

from orchestrator.domain.check import CheckOrder, ServerReport
from orchestrator.domain.file import RemoteFile, WrittenFile
from orchestrator.domain.launch import (
    FoundLaunch,
    Launch,
    LaunchOrder,
    LaunchReport,
    StopReport,
)
from orchestrator.domain.observation import Observation


class ServerGateway(Protocol):
    """Does things on Windows servers, each named as in the inventory.

    Every method may raise a ``ServerCallError``. A call never repeats what
    may have been executed.
    """

    def knows(self, server: str) -> bool:
        """Whether the inventory of this process has it: the store may know more, of
        another process that read another inventory. Calls to others raise
        NotInInventory."""
        ...

    def launch(self, server: str, order: LaunchOrder) -> LaunchReport:
        """Start a game, or return the launch this session already has."""
        ...

    def stop(
        self, server: str, session_id: str, launch: Launch | None, grace_seconds: int
    ) -> StopReport:
        """End a session's processes and remove its task.

        ``launch`` is None where the broker never learnt it; the server's own
        record is used then. A process that is not the launch is never touched:
        ScriptFailed ``identity_mismatch``.
        """
        ...

    def find_launches(self, server: str, session_id: str | None = None) -> Sequence[FoundLaunch]:
        """Our tasks on a server, or the one of ``session_id``."""
        ...

    def remove_launch(self, server: str, session_id: str, grace_seconds: int) -> StopReport:
        """End and remove a launch that no session knows, by the server's own record.

        A process that merely has its PID by now is left alone.
        """
        ...

    def observe(
        self, server: str, launches: Collection[Launch] = (), ports: Collection[int] = ()
    ) -> Observation:
        """The server's load, which of ``launches`` live and who is connected to
        ``ports``; one caller a server at a time. Starts nothing there."""
        ...


class FileGateway(Protocol):
    """Reads and writes files on Windows servers, in pieces.

    A piece that fails on its way is tried again, because repeating one is
    harmless. What cannot be finished raises a ServerCallError; the same call
    made again goes on where the first one stopped.
    """

    def read_file(
        self,
        server: str,
        path: str,
        into: BinaryIO,
        *,
        resume: bool = False,
        max_bytes: int = ...,
    ) -> RemoteFile:
        """Copy a file's content to ``into``, readable and seekable, and check its hash.

        With ``resume`` what ``into`` holds already is kept. ScriptFailed
        ``file_missing``, ``file_too_big``, ``file_changed`` (while it was read),
        ``file_in_use``, ``access_denied``.
        """
        ...

    def write_file(
        self,
        server: str,
        path: str,
        content: BinaryIO,
        *,
        expected_hash: str | None = None,
        keep_backup: bool = True,
    ) -> WrittenFile:
        """Replace a file by ``content``, seekable, from its beginning, in one step.

        ``expected_hash`` is the SHA-256 that the file must have until then, or
        ``MISSING`` where there must be none: else ScriptFailed ``file_changed``
        and nothing was replaced.
        """
        ...


class ServerInspector(Protocol):
    """Looks at what a server lacks before it can run games."""

    def knows(self, server: str) -> bool:
        """As of ``ServerGateway``."""
        ...

    def inspect(self, server: str, order: CheckOrder) -> ServerReport:
        """Every item with its verdict; a ServerCallError where no script can run there."""
        ...
