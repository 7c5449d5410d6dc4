"""Files of the model, by Windows path: case is kept and ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PureWindowsPath


class Files:
    """A tree of files; folders exist where files or made folders are."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, bytes, datetime]] = {}
        self._folders: dict[str, str] = {}
        self._denied: set[str] = set()
        self._locked: set[str] = set()

    def write(self, path: str, content: bytes | str, at: datetime | None = None) -> None:
        """Create or replace a file and its folders; ``at`` is when it was written."""
        data = content.encode("utf-8") if isinstance(content, str) else content
        self._files[_key(path)] = (path, data, at or datetime.now(UTC))
        self.make_folder(str(PureWindowsPath(path).parent))

    def read(self, path: str) -> bytes | None:
        """A file's content, or None."""
        found = self._files.get(_key(path))
        return found[1] if found else None

    def modified(self, path: str) -> datetime:
        """When a file was last written; KeyError where there is none."""
        return self._files[_key(path)][2]

    def deny(self, path: str) -> None:
        """Let the broker's account not open this file any more."""
        self._denied.add(_key(path))

    def is_denied(self, path: str) -> bool:
        """Whether it may not be opened."""
        return _key(path) in self._denied

    def lock(self, path: str, locked: bool = True) -> None:
        """Let another program have the file open, or close it."""
        (self._locked.add if locked else self._locked.discard)(_key(path))

    def is_locked(self, path: str) -> bool:
        """Whether another program has it open."""
        return _key(path) in self._locked

    def remove(self, path: str) -> bool:
        """Delete a file; False where there is none."""
        return self._files.pop(_key(path), None) is not None

    def make_folder(self, path: str) -> None:
        """A folder, with those above it."""
        folder = PureWindowsPath(path)
        for each in (folder, *folder.parents):
            self._folders.setdefault(_key(str(each)), str(each))

    def is_file(self, path: str) -> bool:
        """Whether a file is there."""
        return _key(path) in self._files

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        return _key(path) in self._folders

    def listing(self, folder: str) -> list[str]:
        """Paths of the files right in a folder."""
        wanted = _key(folder)
        return sorted(
            path
            for path, _, _ in self._files.values()
            if _key(str(PureWindowsPath(path).parent)) == wanted
        )

    def folders(self, folder: str) -> list[str]:
        """Paths of the folders right in a folder."""
        wanted = _key(folder)
        return sorted(
            path
            for key, path in self._folders.items()
            if key != wanted and _key(str(PureWindowsPath(path).parent)) == wanted
        )


def _key(path: str) -> str:
    return str(PureWindowsPath(path)).lower()
