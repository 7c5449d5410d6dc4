"""Files of the model, by Windows path: case is kept and ignored."""

from __future__ import annotations

from pathlib import PureWindowsPath


class Files:
    """A tree of files; folders exist where files or made folders are."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, bytes]] = {}
        self._folders: dict[str, str] = {}

    def write(self, path: str, content: bytes | str) -> None:
        """Create or replace a file and its folders."""
        data = content.encode("utf-8") if isinstance(content, str) else content
        self._files[_key(path)] = (path, data)
        self.make_folder(str(PureWindowsPath(path).parent))

    def read(self, path: str) -> bytes | None:
        """A file's content, or None."""
        found = self._files.get(_key(path))
        return found[1] if found else None

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
            for path, _ in self._files.values()
            if _key(str(PureWindowsPath(path).parent)) == wanted
        )


def _key(path: str) -> str:
    return str(PureWindowsPath(path)).lower()
