"""What ansible-vault encrypted, decrypted by ansible-core where that is installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class VaultError(Exception):
    """Something vaulted cannot be read; the message says what to do."""


class Vault:
    """Decrypts with the password of one file; each text once."""

    def __init__(self, password_file: Path | None) -> None:
        self._password_file = password_file
        self._library: Any = None
        self._known: dict[str, str] = {}

    def decrypt(self, text: str) -> str:
        """The plain text; VaultError says what to do."""
        if text not in self._known:
            self._known[text] = self._decrypt(text)
        return self._known[text]

    def _decrypt(self, text: str) -> str:
        if self._library is None:
            self._library = self._open()
        from ansible.errors import AnsibleError

        try:
            return str(self._library.decrypt(text.encode("utf-8")).decode("utf-8"))
        except AnsibleError:
            reason = "another password, or the text is damaged"
        except UnicodeDecodeError:
            reason = "its clear text is not UTF-8"
        raise VaultError(
            f"this cannot be decrypted with the password in {self._password_file}: {reason}"
        )

    def _open(self) -> Any:
        if self._password_file is None:
            raise VaultError(
                "this is encrypted and needs a password: name its file with --vault-password-file, "
                "ORCHESTRATOR_VAULT_PASSWORD_FILE or ANSIBLE_VAULT_PASSWORD_FILE"
            )
        password = self._password(self._password_file)
        try:
            from ansible.parsing.vault import VaultLib, VaultSecret
        except ImportError:
            raise VaultError(
                "this is encrypted and needs ansible-core: pip install 'game-orchestrator[vault]'"
            ) from None
        return VaultLib([("default", VaultSecret(password))])

    def _password(self, file: Path) -> bytes:
        try:
            password = file.read_bytes().strip()
            program = os.access(file, os.X_OK) and password.startswith(b"#!")
        except OSError as error:
            raise VaultError(
                f"the vault password file {file} cannot be read: {error.strerror}"
            ) from None
        if program:
            raise VaultError(
                f"the vault password file {file} is a program: write what it prints into a file"
            )
        if not password:
            raise VaultError(f"the vault password file {file} is empty: write the password into it")
        return password
