"""Which files Ansible would read, in its order."""

from __future__ import annotations

import errno
from pathlib import Path

from orchestrator.domain.errors import InventoryProblem
from orchestrator.inventory.nodes import Report

_YAML = ("", ".yml", ".yaml", ".json")
_IGNORED = (
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
)  # fmt: skip
_NOT_INVENTORIES = {"group_vars", "host_vars", "vars_plugins"}


def inventory_files(path: Path, report: Report) -> list[Path]:
    """The files of an inventory: the path itself, or what a folder holds.

    Of a folder's files Ansible ignores some by name; one that it would read in
    another format than YAML is a problem, as its hosts would be missing here.
    """
    if not is_folder(path):
        return [path]
    found: list[Path] = []
    for entry in _entries(path, report):
        if entry.name in _NOT_INVENTORIES or entry.name.startswith("."):
            continue
        if entry.name.endswith(_IGNORED):
            continue
        if is_folder(entry):
            found += inventory_files(entry, report)
        elif entry.suffix in _YAML:
            found.append(entry)
        else:
            message = (
                "only YAML inventories are read: convert it with "
                "'ansible-inventory --list --yaml', or move it out of this folder"
            )
            report(InventoryProblem(str(entry), 1, 1, message))
    return found


def variable_files(folder: Path, name: str, report: Report) -> list[Path]:
    """The file of a group or host in ``group_vars`` or ``host_vars``, or its folder's files."""
    for suffix in _YAML:
        path = folder / f"{name}{suffix}"
        try:
            if path.is_dir():
                return _nested(path, report)
            if path.exists():
                return [path]
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                message = f"cannot be read: {error.strerror or error}"
                report(InventoryProblem(str(path), 1, 1, message))
            return []
    return []


def is_folder(path: Path) -> bool:
    """Whether it is a folder that can be seen; reading it tells why it cannot."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _nested(folder: Path, report: Report) -> list[Path]:
    found: list[Path] = []
    for entry in _entries(folder, report):
        if entry.name.startswith(".") or entry.name.endswith("~"):
            continue
        if is_folder(entry):
            found += [] if entry.suffix else _nested(entry, report)
        elif entry.suffix in _YAML and entry.is_file():
            found.append(entry)
    return found


def _entries(folder: Path, report: Report) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        report(InventoryProblem(str(folder), 1, 1, message))
        return []
