"""Templates and secrets: from what is written to what is meant.

``{{ lookup('env', 'NAME') }}``, ``{{ lookup('file', 'PATH') }}`` and
``{{ variable }}``, alone or inside text, and ``!vault``. Anything else that
Jinja can do belongs into a playbook and is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.inventory.nodes import Node, Report, Vaulted

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_LOOKUP = re.compile(
    r"""(?:lookup|query)\(\s*(['"])(?:ansible\.builtin\.)?(\w+)\1\s*,\s*(['"])(.*?)\3\s*\)"""
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_SUPPORTED = "write {{ lookup('env', 'NAME') }}, {{ lookup('file', 'PATH') }} or {{ variable }}"


class Unresolved(Exception):
    """A value could not be found out; the reason has been reported."""


class Resolver:
    """Finds out one host's values."""

    def __init__(
        self,
        name: str,
        variables: Mapping[str, Node],
        environment: Mapping[str, str],
        vault: Vault,
        report: Report,
    ) -> None:
        self._name = name
        self._variables = variables
        self._environment = environment
        self._vault = vault
        self._report = report

    def value(self, node: Node, chain: tuple[str, ...] = ()) -> Any:
        """The node's value, templates and secrets resolved; raises Unresolved."""
        value = node.value
        if isinstance(value, Vaulted):
            return self._or_report(node, lambda: self._vault.decrypt(value))
        if isinstance(value, dict):
            return {key: self.value(item, chain) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, chain) for item in value]
        if not isinstance(value, str) or ("{{" not in value and "{%" not in value):
            return value
        return self._template(node, value, chain)

    def _template(self, node: Node, text: str, chain: tuple[str, ...]) -> Any:
        if "{%" in text or "{{" in _EXPRESSION.sub("", text):
            self._fail(node, f"this template is not supported: {_SUPPORTED}")
        whole = _EXPRESSION.fullmatch(text.strip())
        if whole is not None and text.strip().count("{{") == 1:
            return self._expression(node, whole[1].strip(), chain)
        return _EXPRESSION.sub(
            lambda match: str(self._expression(node, match[1].strip(), chain)), text
        )

    def _expression(self, node: Node, text: str, chain: tuple[str, ...]) -> Any:
        lookup = _LOOKUP.fullmatch(text)
        if lookup is not None and lookup[2] == "env":
            return self._env(node, lookup[4])
        if lookup is not None and lookup[2] == "file":
            return self._file(node, lookup[4])
        if _NAME.fullmatch(text):
            return self._variable(node, text, chain)
        self._fail(node, f"'{{{{ {text} }}}}' is not supported: {_SUPPORTED}")
        raise AssertionError("reported above")

    def _env(self, node: Node, name: str) -> str:
        value = self._environment.get(name)
        if not value:
            self._fail(
                node, f"the environment variable {name} is not set: set it for the broker, e.g. "
                f"'export {name}=...'"
            )  # fmt: skip
        assert value is not None
        return value

    def _file(self, node: Node, name: str) -> str:
        path = Path(name).expanduser()
        if not path.is_absolute():
            path = Path(node.path).parent / path
        try:
            return path.read_text(encoding="utf-8").rstrip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self._fail(node, f"the file {path} cannot be read: {reason}")
        raise AssertionError("reported above")

    def _variable(self, node: Node, name: str, chain: tuple[str, ...]) -> Any:
        if name == "inventory_hostname":
            return self._name
        if name == "inventory_hostname_short":
            return self._name.split(".")[0]
        if name in chain:
            loop = " -> ".join([*chain, name])
            self._fail(node, f"the variables refer to each other in a circle: {loop}")
        other = self._variables.get(name)
        if other is None:
            self._fail(node, f"there is no variable {name!r} for {self._name}: define it")
        assert other is not None
        return self.value(other, (*chain, name))

    def _or_report(self, node: Node, read: Any) -> Any:
        try:
            return read()
        except VaultError as error:
            self._fail(node, str(error))

    def _fail(self, node: Node, message: str) -> None:
        self._report(node.problem(message))
        raise Unresolved


class VaultError(Exception):
    """A vaulted value cannot be read."""


class Vault:
    """Decrypts ``!vault`` values with ansible-core, where that is installed."""

    def __init__(self, password_file: Path | None) -> None:
        self._password_file = password_file
        self._library: Any = None

    def decrypt(self, value: Vaulted) -> str:
        """The plain text; VaultError says what to do."""
        if self._library is None:
            self._library = self._open()
        from ansible.errors import AnsibleError

        try:
            return str(self._library.decrypt(value.text).decode("utf-8"))
        except AnsibleError as error:
            reason = " ".join(str(error).split())
            raise VaultError(
                f"the vaulted value cannot be decrypted with {self._password_file}: {reason}"
            ) from None

    def _open(self) -> Any:
        if self._password_file is None:
            raise VaultError(
                "a !vault value needs a password: name its file with --vault-password-file "
                "or ORCHESTRATOR_VAULT_PASSWORD_FILE"
            )
        try:
            from ansible.parsing.vault import VaultLib, VaultSecret
        except ImportError:
            raise VaultError(
                "a !vault value needs ansible-core: pip install 'game-orchestrator[vault]'"
            ) from None
        try:
            password = self._password_file.read_bytes().strip()
        except OSError as error:
            raise VaultError(
                f"the vault password file {self._password_file} cannot be read: {error.strerror}"
            ) from None
        return VaultLib([("default", VaultSecret(password))])
