"""A YAML value together with its place: what every error of the inventory points at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from orchestrator.domain.errors import InventoryProblem


@dataclass(frozen=True, slots=True)
class Vaulted:
    """A value encrypted by ansible-vault."""

    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; lines and columns count from 1.

    ``value`` is a scalar, Vaulted, a list of Node or a dict of name to Node.
    ``keys`` has the place of each key of a dict, ``odd_keys`` those keys that
    YAML does not read as text (``007``, ``yes``). ``literal`` is a string that
    is no template (``!unsafe``); ``hidden`` says that the file was encrypted.
    """

    value: Any
    path: str
    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    odd_keys: frozenset[str] = frozenset()
    literal: bool = False
    hidden: bool = False

    def problem(self, message: str) -> InventoryProblem:
        """Something wrong here."""
        return InventoryProblem(self.path, self.line, self.column, message)

    def key_problem(self, key: str, message: str) -> InventoryProblem:
        """Something wrong with a key of this dict."""
        line, column = self.keys.get(key, (self.line, self.column))
        return InventoryProblem(self.path, line, column, message)

    def at_key(self, key: str) -> Node:
        """The key itself as a node."""
        line, column = self.keys.get(key, (self.line, self.column))
        return Node(key, self.path, line, column)

    def plain(self) -> Any:
        """The value without places, as ``ansible-inventory`` prints it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, Vaulted):
            return {"__ansible_vault": self.value.text}
        if isinstance(self.value, date):
            return self.value.isoformat()
        if self.literal and isinstance(self.value, str):
            return {"__ansible_unsafe": self.value}
        return self.value


Report = Callable[[InventoryProblem], None]
"""Takes one problem; reading goes on, so that all of them are found at once."""
