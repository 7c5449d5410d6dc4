"""A file that lives as long as the lab that wrote it, and belongs to it alone.

The lab holds a lock on the file itself. The system drops it with the process,
so that a file left by a lab that was killed is nobody's and can be replaced.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from orchestrator.cli.output import NotWritten


@contextmanager
def held_file(path: Path, text: str) -> Iterator[None]:
    """The file with this text, appearing at once; removed at the end if it is still ours."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise _not_written(path, error) from None
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        try:
            _publish(part, path, text, stream)
        finally:
            part.unlink(missing_ok=True)
        try:
            yield
        finally:
            _remove(path, stream.fileno())


def refuse_if_held(path: Path) -> None:
    """NotWritten where the file is that of a lab that runs."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # There is none, or writing will say what is wrong with it.
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NotWritten(
            f"the inventory {path.absolute()} is that of a lab that runs: end that one, or name "
            "another file with --inventory-file"
        ) from None
    finally:
        os.close(handle)


def _publish(part: Path, path: Path, text: str, stream: TextIO) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(text)
        stream.flush()
        refuse_if_held(path)
        part.replace(path)
    except OSError as error:
        raise _not_written(path, error) from None


def _remove(path: Path, handle: int) -> None:
    """Unless somebody has put another file in its place, or taken it away."""
    ours = os.fstat(handle)
    try:
        there = path.stat()
    except OSError:
        return
    if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
        path.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> NotWritten:
    return NotWritten(
        f"the inventory {path.absolute()} cannot be written: {error.strerror}; name another "
        "file with --inventory-file"
    )
