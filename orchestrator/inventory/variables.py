"""The variables we know, their types, and what a wrong one should be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.mode import Mode
from orchestrator.domain.server import PortRange, Probe

Check = Callable[[Any], Any]
"""The value as the broker wants it; ValueError says what to write instead."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: its check, its default as the docs show it, what it means."""

    check: Check
    default: str
    meaning: str


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write text")
    return value


def _secret(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise ValueError("write text, in quotes")
    return str(value)


def _whole(least: int, most: int) -> Check:
    def check(value: Any) -> int:
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]+", text):
            raise ValueError(f"write a whole number from {least} to {most}")
        if not least <= int(text) <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(text)

    return check


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"write one of: {', '.join(choices)}")
        return str(value)

    return check


def _words(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("write a list, such as [a, b]")
    return frozenset(value)


def _modes(value: Any) -> frozenset[Mode]:
    known = [mode.value for mode in Mode]
    if not isinstance(value, list) or not value or any(each not in known for each in value):
        raise ValueError(f"write a list of: {', '.join(known)}")
    return frozenset(Mode(each) for each in value)


def _labels(value: Any) -> dict[str, str]:
    plain = (str, int, float)
    if not isinstance(value, dict) or not all(
        isinstance(each, plain) and not isinstance(each, bool) for each in value.values()
    ):
        raise ValueError("write a mapping of text to text, such as {gpu: rtx-4070}")
    return {str(key): str(each) for key, each in value.items()}


def _ports(value: Any) -> PortRange:
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", str(value))
    if match is None:
        raise ValueError("write a range such as 8554-8653")
    try:
        return PortRange(int(match[1]), int(match[2]))
    except ValueError:
        raise ValueError("write a range within 1-65535, the smaller port first") from None


def _windows_path(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]:[\\/][^<>:\"|?*]*", value):
        raise ValueError(r"write an absolute Windows path, such as C:\GamingAnywhere\bin")
    return value.replace("/", "\\").rstrip("\\")


def _transport(value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[0]
    if value in {"kerberos", "credssp", "certificate"}:
        raise ValueError(f"{value} is not supported yet: write ntlm, or basic over https")
    check: str = _one_of("ntlm", "negotiate", "basic", "plaintext", "ssl")(value)
    return check


def _anything(value: Any) -> Any:
    return value


KNOWN: Mapping[str, Variable] = {
    "ansible_connection": Variable(_one_of("winrm"), "winrm", "How Ansible connects."),
    "ansible_host": Variable(_text, "the host's name", "Address at which WinRM answers."),
    "ansible_port": Variable(_whole(1, 65535), "5986", "Port of WinRM; 5985 is HTTP."),
    "ansible_user": Variable(_text, "", "Account on the server, `NAME`, `DOMAIN\\NAME` or UPN."),
    "ansible_password": Variable(_secret, "", "Its password; see Secrets."),
    "ansible_winrm_host": Variable(_text, "", "Same as `ansible_host`."),
    "ansible_winrm_port": Variable(_whole(1, 65535), "", "Same as `ansible_port`."),
    "ansible_winrm_user": Variable(_text, "", "Same as `ansible_user`."),
    "ansible_winrm_pass": Variable(_secret, "", "Same as `ansible_password`."),
    "ansible_winrm_password": Variable(_secret, "", "Same as `ansible_password`."),
    "ansible_winrm_scheme": Variable(
        _one_of("http", "https"), "https; http on port 5985", "HTTP or HTTPS."
    ),
    "ansible_winrm_path": Variable(_text, "/wsman", "Path of the endpoint."),
    "ansible_winrm_transport": Variable(
        _transport, "ntlm", "`ntlm`, `negotiate`, or over HTTPS `basic` and `ssl`."
    ),
    "ansible_winrm_server_cert_validation": Variable(
        _one_of("validate", "ignore"), "validate", "Whether the certificate must be valid."
    ),
    "ansible_winrm_ca_trust_path": Variable(
        _text, "the system's", "File of the CAs to trust, PEM."
    ),
    "ansible_winrm_operation_timeout_sec": Variable(
        _whole(1, 3600), "20", 'How long a server may wait before it answers "nothing yet".'
    ),
    "ansible_winrm_read_timeout_sec": Variable(
        _whole(2, 7200), "30", "How long to wait for an answer; more than the one above."
    ),
    "ansible_winrm_message_encryption": Variable(
        _one_of("auto", "always", "never"), "auto", "Sealing of messages; auto seals over HTTP."
    ),
    "ansible_winrm_connection_timeout": Variable(_anything, "", "Ansible's own; not used."),
    "ansible_winrm_realm": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_service": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_keytab": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_kerberos_delegation": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_kerberos_hostname_override": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_kinit_mode": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_kinit_cmd": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_kinit_args": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_kinit_env_vars": Variable(_anything, "", "Kerberos; not used yet."),
    "ansible_winrm_cert_pem": Variable(_anything, "", "Client certificate; not used yet."),
    "ansible_winrm_cert_key_pem": Variable(_anything, "", "Client certificate; not used yet."),
    "ansible_winrm_credssp_disable_tlsv1_2": Variable(_anything, "", "CredSSP; not used yet."),
    "ansible_winrm_credssp_minimum_version": Variable(_anything, "", "CredSSP; not used yet."),
    "ansible_winrm_credssp_auth_mechanism": Variable(_anything, "", "CredSSP; not used yet."),
    "ansible_winrm_send_cbt": Variable(_anything, "", "Channel binding; always sent."),
    "ansible_winrm_proxy": Variable(_anything, "", "Not used: no proxy is."),
    "orchestrator_site": Variable(_text, "default", "Group of servers that one broker reaches."),
    "orchestrator_slots": Variable(_whole(0, 1000), "1", "Sessions at once."),
    "orchestrator_labels": Variable(_labels, "{}", "Labels that games may ask for."),
    "orchestrator_modes": Variable(_modes, "all modes", "Modes it may run."),
    "orchestrator_games": Variable(_words, "all games", "Games it may run, by id."),
    "orchestrator_physical_host": Variable(_text, "", "Machine that carries it, for a VM."),
    "orchestrator_ports": Variable(_ports, "8554-8653", "Ports of streams: two a session."),
    "orchestrator_probe": Variable(_one_of(Probe.WQL.value), "wql", "How its load is read."),
    "orchestrator_stream_address": Variable(
        _text, "ansible_host", "Address that players are given."
    ),
    "orchestrator_ga_directory": Variable(
        _windows_path, r"C:\GamingAnywhere\bin", "GamingAnywhere's programs."
    ),
    "orchestrator_config_directory": Variable(
        _windows_path, r"C:\GamingAnywhere\config", "The games' `.conf` files."
    ),
}
"""Every ``orchestrator_*`` and ``ansible_winrm_*`` variable, and what of Ansible's is used."""

SECRETS = frozenset({"ansible_password", "ansible_winrm_pass", "ansible_winrm_password"})

_OURS = re.compile(r"(orchestrator_|ansible_winrm_)")


def unknown_variable(name: str) -> str | None:
    """Why a variable of our name spaces is wrong, or None."""
    if name in KNOWN or not _OURS.match(name):
        return None
    close = difflib.get_close_matches(name, KNOWN, 1, 0.6)
    hint = f"did you mean {close[0]}?" if close else "docs/inventory.md lists those there are"
    return f"there is no variable {name}: {hint}"


def shown(name: str, value: Any) -> str:
    """A value for an error's text, unless it may be secret."""
    if name in SECRETS or "pass" in name or "secret" in name or "token" in name:
        return "the value"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
