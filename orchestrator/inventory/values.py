"""Templates and secrets: from what is written to what is meant.

``{{ lookup('env', 'NAME') }}``, ``{{ lookup('file', 'PATH') }}`` and
``{{ variable }}``, alone or inside text, and ``!vault``. Anything else that
Jinja can do belongs into a playbook and is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.inventory.groups import Host
from orchestrator.inventory.nodes import Node, Report, Vaulted
from orchestrator.inventory.vault import Vault, VaultError

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_LOOKUP = re.compile(
    r"""lookup\(\s*(?P<q>['"])(?:ansible\.builtin\.)?(?P<kind>env|file)(?P=q)\s*,"""
    r"""\s*(?P<r>['"])(?P<name>[^'"]+)(?P=r)\s*\)"""
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SUPPORTED = (
    "write {{ lookup('env', 'NAME') }}, {{ lookup('file', 'PATH') }} or {{ variable }}, "
    "and !unsafe before text with braces of its own"
)


class Unresolved(Exception):
    """A value could not be found out; the reason has been reported."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Finds out one host's values."""

    host: Host
    variables: Mapping[str, Node]
    environment: Mapping[str, str]
    vault: Vault
    report: Report

    def value(self, node: Node, chain: tuple[str, ...] = ()) -> Any:
        """The node's value, templates and secrets resolved; raises Unresolved.

        ``chain`` names the variables on the way to this one, to find circles.
        """
        value = node.value
        if isinstance(value, Vaulted):
            try:
                return self.vault.decrypt(value.text)
            except VaultError as error:
                raise self._failed(node, str(error)) from None
        if isinstance(value, dict):
            return {key: self.value(item, chain) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, chain) for item in value]
        if node.literal or not isinstance(value, str) or not is_template(value):
            return value
        return self._template(node, value, chain)

    def _template(self, node: Node, text: str, chain: tuple[str, ...]) -> Any:
        rest = _EXPRESSION.sub("", text)
        if is_template(rest):
            raise self._failed(node, f"this template is not supported: {_SUPPORTED}")
        whole = _EXPRESSION.fullmatch(text.strip())
        if whole is not None and "{{" not in whole[1]:
            return self._expression(node, whole[1].strip(), chain)
        return _EXPRESSION.sub(lambda match: self._inside_text(node, match[1].strip(), chain), text)

    def _inside_text(self, node: Node, text: str, chain: tuple[str, ...]) -> str:
        value = self._expression(node, text, chain)
        if not isinstance(value, str | int | float):
            raise self._failed(
                node, f"{{{{ {text} }}}} is no text: it can only be a value by itself"
            )
        return str(value)

    def _expression(self, node: Node, text: str, chain: tuple[str, ...]) -> Any:
        lookup = _LOOKUP.fullmatch(text)
        if lookup is not None:
            read = self._env if lookup["kind"] == "env" else self._file
            return read(node, lookup["name"])
        if _NAME.fullmatch(text):
            return self._variable(node, text, chain)
        raise self._failed(node, f"this template is not supported: {_SUPPORTED}")

    def _env(self, node: Node, name: str) -> str:
        value = self.environment.get(name)
        if value:
            return value
        what = "is not set" if value is None else "is empty"
        message = f"the environment variable {name} {what}: export it where this command runs"
        raise self._failed(node, message)

    def _file(self, node: Node, name: str) -> str:
        path = Path(node.path).parent / name
        try:
            if name.startswith("~/"):
                path = Path.home() / name[2:]
            text = path.read_text(encoding="utf-8").rstrip()
        except OSError as error:
            raise self._failed(
                node, f"the file {path} cannot be read: {error.strerror or error}"
            ) from None
        except UnicodeDecodeError:
            raise self._failed(node, f"the file {path} cannot be read: it is not UTF-8") from None
        except (ValueError, RuntimeError) as error:
            raise self._failed(node, f"{name!r} names no file: {error}") from None
        if not text:
            raise self._failed(node, f"the file {path} is empty: write the value into it")
        return text

    def _variable(self, node: Node, name: str, chain: tuple[str, ...]) -> Any:
        if name in _MAGIC:
            return self._magic(name)
        if name in chain:
            circle = " -> ".join([*chain[chain.index(name) :], name])
            raise self._failed(node, f"the variables refer to each other in a circle: {circle}")
        other = self.variables.get(name)
        if other is None:
            raise self._failed(node, f"there is no variable {name} for {self.host.name}: define it")
        return self.value(other, (*chain, name))

    def _magic(self, name: str) -> str:
        source = Path(self.host.named_at.path).absolute()
        short = self.host.name if ":" in self.host.name else self.host.name.split(".")[0]
        return {
            "inventory_hostname": self.host.name,
            "inventory_hostname_short": short,
            "inventory_dir": str(source.parent),
            "inventory_file": str(source),
        }[name]

    def _failed(self, node: Node, message: str) -> Unresolved:
        self.report(node.problem(message))
        return Unresolved()


_MAGIC = frozenset(
    {"inventory_hostname", "inventory_hostname_short", "inventory_dir", "inventory_file"}
)


def is_template(text: str) -> bool:
    """Whether Ansible would take the text for a template."""
    return any(mark in text for mark in ("{{", "{%", "{#"))
