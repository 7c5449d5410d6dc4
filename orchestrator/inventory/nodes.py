"""YAML with the place of every value, read as Ansible reads it (YAML 1.1).

The node tree is walked by hand, because duplicate keys have to be reported
with both places and tags such as ``!vault`` kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from orchestrator.domain.errors import InventoryProblem

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


@dataclass(frozen=True, slots=True)
class Vaulted:
    """A value encrypted by ansible-vault."""

    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; lines and columns count from 1.

    ``value`` is a scalar, Vaulted, a list of Node or a dict of name to Node.
    ``keys`` has the place of each key of a dict.
    """

    value: Any
    path: str
    line: int
    column: int
    keys: dict[str, tuple[int, int]]

    def problem(self, message: str) -> InventoryProblem:
        """Something wrong here."""
        return InventoryProblem(self.path, self.line, self.column, message)

    def key_problem(self, key: str, message: str) -> InventoryProblem:
        """Something wrong with a key of this dict."""
        line, column = self.keys.get(key, (self.line, self.column))
        return InventoryProblem(self.path, line, column, message)

    def plain(self) -> Any:
        """The value without places, as ``ansible-inventory`` prints it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, Vaulted):
            return {"__ansible_vault": self.value.text}
        return self.value


Report = Callable[[InventoryProblem], None]


def read_yaml(path: Path, report: Report) -> Node | None:
    """The file's value; None after reporting what is wrong, or for an empty file."""
    name = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        report(InventoryProblem(name, 1, 1, f"cannot be read: {error.strerror or error}"))
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        report(InventoryProblem(name, line, 1, "is not UTF-8: save the file as UTF-8"))
        return None
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        report(_syntax(name, error))
        return None
    except YAMLError as error:
        report(InventoryProblem(name, 1, 1, f"is not YAML: {_one_line(str(error))}"))
        return None
    return None if root is None else _Builder(name, yaml, report).build(root)


def empty(path: Path) -> Node:
    """An empty dict at the beginning of a file."""
    return Node({}, str(path), 1, 1, {})


class _Builder:
    def __init__(self, path: str, yaml: YAML, report: Report) -> None:
        self._path = path
        self._yaml = yaml
        self._report = report

    def build(self, node: Any) -> Node:
        line, column = _place(node)
        keys: dict[str, tuple[int, int]] = {}
        value: Any
        if isinstance(node, MappingNode):
            value, keys = self._mapping(node)
        elif isinstance(node, SequenceNode):
            value = [self.build(item) for item in node.value]
        else:
            value = self._scalar(node)
        return Node(value, self._path, line, column, keys)

    def _mapping(self, node: MappingNode) -> tuple[dict[str, Node], dict[str, tuple[int, int]]]:
        values: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            if str(key_node.tag) == _MERGE:
                for each in self._merged(value_node):
                    merged = {**each.value, **merged}
                continue
            key = str(self._scalar(key_node)) if isinstance(key_node, ScalarNode) else ""
            place = _place(key_node)
            if not isinstance(key_node, ScalarNode):
                self._problem(place, "a name must be plain text here, not a list or mapping")
            elif key in keys:
                first = keys[key][0]
                message = f"{key!r} is here twice (first in line {first}): remove one, or join them"
                self._problem(place, message)
            else:
                keys[key] = place
                values[key] = self.build(value_node)
        return {**merged, **values}, keys

    def _merged(self, node: Any) -> Iterator[Node]:
        parts = node.value if isinstance(node, SequenceNode) else [node]
        for part in parts:
            built = self.build(part)
            if isinstance(built.value, dict):
                yield built
            else:
                self._problem(_place(part), "<< must name a mapping")

    def _scalar(self, node: Any) -> Any:
        tag = str(node.tag)
        if tag == "!vault":
            return Vaulted(node.value)
        if tag == "!unsafe" or not tag.startswith(_TAG):
            if tag not in {"!unsafe", "!"}:
                self._problem(_place(node), f"the tag {tag} is not known: use !vault or none")
            return node.value
        try:
            return self._yaml.constructor.construct_object(node)
        except (YAMLError, ValueError) as error:
            self._problem(_place(node), f"{node.value!r} cannot be read: {_one_line(str(error))}")
            return node.value

    def _problem(self, place: tuple[int, int], message: str) -> None:
        self._report(InventoryProblem(self._path, *place, message))


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(name: str, error: MarkedYAMLError) -> InventoryProblem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    text = _one_line(error.problem or str(error))
    hint = ""
    if "'\\t'" in text or "tab" in text.lower():
        hint = ": indent with spaces, not with tabs"
    elif "mapping values" in text:
        hint = ": check the indentation, and quote a value that contains ': '"
    elif "expected <block end>" in text:
        hint = ": this line is indented differently from those above it"
    return InventoryProblem(name, line, column, f"is not YAML: {text}{hint}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
