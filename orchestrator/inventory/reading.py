"""Files into nodes: YAML with the place of every value, read as Ansible reads it.

The YAML node tree is walked by hand, because duplicate keys have to be
reported with both places and tags such as ``!vault`` kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from orchestrator.domain.errors import InventoryProblem
from orchestrator.inventory.colons import advice, glued_line
from orchestrator.inventory.nodes import Node, Report, Vaulted
from orchestrator.inventory.scalars import TAG, UnknownTag, construct, implicit_tag
from orchestrator.inventory.vault import Vault, VaultError

_MERGE = f"{TAG}merge"
_VAULT_TAGS = {"!vault", "!vault-encrypted"}
_ENCRYPTED = "$ANSIBLE_VAULT;"
_INI_SECTION = re.compile(
    r"(?:[ \t]*(?:[#;].*)?\n)*[ \t]*\[[\w.-]+(?::\w+)?\][ \t]*(?:[#;].*)?$", re.M
)
_INI = (
    "this looks like an INI inventory, and only YAML is read: write it as YAML with "
    "'ansible-inventory -i FILE --list --yaml --output NEW.yml'"
)


def read_yaml(path: Path, report: Report, vault: Vault) -> Node | None:
    """The file's value, of None for an empty file; None after reporting what is wrong.

    A file that ansible-vault encrypted as a whole is decrypted first; places
    are then those of its clear text.
    """
    name = str(path)
    text = _text(path, report)
    if text is None:
        return None
    hidden = text.startswith(_ENCRYPTED)
    if hidden:
        try:
            text = vault.decrypt(text)
        except VaultError as error:
            report(InventoryProblem(name, 1, 1, str(error)))
            return None
    try:
        root = _compose(text)
        if root is None:
            return Node(None, name, 1, 1)
        return _Builder(name, hidden, report).build(root)
    except _NotYaml as error:
        report(InventoryProblem(name, *error.place, str(error)))
    except RecursionError:
        report(InventoryProblem(name, 1, 1, "is nested too deeply: an inventory needs few levels"))
    return None


def _text(path: Path, report: Report) -> str | None:
    name = str(path)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        report(InventoryProblem(name, 1, 1, f"cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        report(InventoryProblem(name, line, column, "is not UTF-8: save the file as UTF-8"))
    return None


class _Resolver(VersionedResolver):
    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a node without one; ours for plain scalars."""
        if kind is ScalarNode and implicit[0]:
            return Tag(suffix=implicit_tag(value))
        return super().resolve(kind, value, implicit)


class _NotYaml(Exception):
    def __init__(self, place: tuple[int, int], message: str) -> None:
        super().__init__(message)
        self.place = place


def _compose(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    yaml.Resolver = _Resolver
    yaml.composer.warn_double_anchors = False  # The builder reports them.
    try:
        return yaml.compose(text)
    except MarkedYAMLError as error:
        raise _syntax(error, text) from None
    except ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the character #x{ord(text[error.position]):04x} is not allowed: remove it"
        raise _NotYaml(place, f"is not YAML: {message}") from None
    except YAMLError as error:
        raise _NotYaml((1, 1), f"is not YAML: {_one_line(str(error))}") from None


class _Builder:
    """Makes nodes; a YAML node that aliases name again is made once."""

    def __init__(self, path: str, hidden: bool, report: Report) -> None:
        self._path = path
        self._hidden = hidden
        self._report = report
        self._made: dict[tuple[int, bool], Node] = {}
        self._open: set[int] = set()
        self._anchors: dict[str, Any] = {}

    def build(self, node: Any, literal: bool = False) -> Node:
        literal = literal or str(node.tag) == "!unsafe"
        made = self._made.get((id(node), literal))
        if made is not None:
            return made
        if id(node) in self._open:
            self._problem(_place(node), "this value contains itself: remove the alias")
            return Node(None, self._path, *_place(node))
        if node.anchor and self._anchors.setdefault(node.anchor, node) is not node:
            first = _place(self._anchors[node.anchor])[0]
            message = f"the anchor &{node.anchor} is in line {first} already: rename one"
            self._problem(_place(node), message)
        self._open.add(id(node))
        made = self._made[id(node), literal] = self._build(node, literal)
        self._open.discard(id(node))
        return made

    def _build(self, node: Any, literal: bool) -> Node:
        keys: dict[str, tuple[int, int]] = {}
        odd: set[str] = set()
        value: Any
        if not isinstance(node, ScalarNode):
            self._check_collection(node)
        if isinstance(node, MappingNode):
            value = self._mapping(node, keys, odd, literal)
        elif isinstance(node, SequenceNode):
            value = [self.build(item, literal) for item in node.value]
        else:
            value = self._scalar(node)
        line, column = _place(node)
        return Node(value, self._path, line, column, keys, frozenset(odd), literal, self._hidden)

    def _check_collection(self, node: Any) -> None:
        tag = str(node.tag)
        if tag not in {f"{TAG}map", f"{TAG}seq", "!unsafe"}:
            self._problem(_place(node), f"the tag {tag} is not known here: remove it")

    def _mapping(
        self, node: Any, keys: dict[str, tuple[int, int]], odd: set[str], literal: bool
    ) -> dict[str, Node]:
        values: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = _place(key_node)
            if not isinstance(key_node, ScalarNode):
                message = "a name must be plain text: put a value that begins with {{ in quotes"
                self._problem(place, message)
                continue
            if str(key_node.tag) == _MERGE:
                if merged:
                    self._problem(place, "'<<' is here twice: write one, as '<<: [*one, *two]'")
                for each in self._merged(value_node):
                    merged = {**each.value, **merged}
                    odd |= each.odd_keys
                    keys.update({key: at for key, at in each.keys.items() if key not in keys})
                continue
            found = self._scalar(key_node)
            key = found if isinstance(found, str) else key_node.value
            if key in values:
                first = keys[key][0]
                message = f"{key!r} is here twice (first in line {first}): remove one, or join them"
                self._problem(place, message)
                continue
            if not isinstance(found, str):
                odd.add(key)
            keys[key] = place
            values[key] = self.build(value_node, literal)
        return {**merged, **values}

    def _merged(self, node: Any) -> Iterator[Node]:
        for part in node.value if isinstance(node, SequenceNode) else [node]:
            built = self.build(part)
            if isinstance(built.value, dict):
                yield built
            else:
                self._problem(_place(part), "<< must name a mapping")

    def _scalar(self, node: Any) -> Any:
        tag = str(node.tag)
        if tag in _VAULT_TAGS:
            return Vaulted(node.value)
        if tag == "!unsafe":
            tag = f"{TAG}str" if node.style else implicit_tag(node.value)
        try:
            return construct(f"{TAG}str" if tag == "!" else tag, node.value)
        except UnknownTag as error:
            self._problem(_place(node), str(error))
        except ValueError:
            # Not shown: it may be a password that YAML takes for a date.
            kind = tag.removeprefix(TAG)
            message = f"YAML takes this for a {kind}, which it is not: put text in quotes"
            self._problem(_place(node), message)
        return node.value

    def _problem(self, place: tuple[int, int], message: str) -> None:
        self._report(InventoryProblem(self._path, *place, message))


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: MarkedYAMLError, source: str) -> _NotYaml:
    mark = error.problem_mark or error.context_mark
    place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    text = _one_line(error.problem or str(error))
    if "mapping values" in text or "expected ':'" in text:
        glued = glued_line(source, place[0])
        if glued is not None:
            return _NotYaml(glued[:2], f"is not YAML: {advice(glued[2])}")
    hint = ""
    if _INI_SECTION.match(source):
        return _NotYaml(place, _INI)
    if "'\\t'" in text or "tab" in text.lower():
        hint = ": indent with spaces, not with tabs"
    elif "mapping values" in text:
        hint = ": check the indentation, and quote a value that contains ': '"
    elif "expected <block end>" in text:
        hint = ": this line is indented differently from those above it"
    elif "expected a single document" in text or "but found another document" in text:
        hint = ": leave out the second '---'"
    elif "cannot start any token" in text:
        hint = ": put the value in quotes"
    elif "quoted scalar" in str(error.context):
        hint = ": a quote that begins in the lines above has no end"
    return _NotYaml(place, f"is not YAML: {text}{hint}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
