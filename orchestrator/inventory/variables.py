"""The variables we know: ours, Ansible's for WinRM, and what each may be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.inventory import checks
from orchestrator.inventory.checks import Check
from orchestrator.inventory.nodes import Node, Vaulted


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable; all but ``check`` is as docs/inventory.md shows it.

    ``alias_of`` names the variable whose value this one gives instead; of
    several the last in ``KNOWN`` wins, as Ansible has it.
    """

    check: Check
    type: str
    default: str
    example: str
    meaning: str
    alias_of: str | None = None


def _alias(of: str, check: Check, kind: str, example: str) -> Variable:
    return Variable(check, kind, "", example, f"Same as `{of}`, and wins over it.", of)


def _unused(example: str, meaning: str) -> Variable:
    return Variable(checks.anything, "as Ansible's", "", example, meaning)


_NO_KINIT = "Ansible's only: the broker runs no kinit."

_PORT = checks.whole(1, 65535)

_ANSIBLE = {
    "ansible_connection": Variable(
        checks.connection, "`winrm`", "winrm", "winrm", "How Ansible connects."
    ),
    "ansible_host": Variable(
        checks.address, "address", "the host's name", "192.0.2.11", "Where WinRM answers."
    ),
    "ansible_winrm_host": _alias("ansible_host", checks.address, "address", "192.0.2.11"),
    "ansible_port": Variable(
        _PORT, "1-65535", "5986; 5985 for scheme http", "5985", "Port of WinRM."
    ),
    "ansible_winrm_port": _alias("ansible_port", _PORT, "1-65535", "5985"),
    "ansible_user": Variable(
        checks.text, "text", "must be given", r"GAMES\orchestrator", "Account on the server."
    ),
    "ansible_winrm_user": _alias("ansible_user", checks.text, "text", "orchestrator"),
    "ansible_password": Variable(
        checks.secret, "text", "must be given", "\"{{ lookup('env', 'PW') }}\"", "Its password."
    ),
    "ansible_winrm_pass": _alias("ansible_password", checks.secret, "text", "!vault …"),
    "ansible_winrm_password": _alias("ansible_password", checks.secret, "text", "!vault …"),
}

_WINRM = {
    "ansible_winrm_scheme": Variable(
        checks.one_of("http", "https"),
        "`http`, `https`",
        "https; http on port 5985",
        "https",
        "HTTP or HTTPS.",
    ),
    "ansible_winrm_path": Variable(
        checks.url_path, "path", "/wsman", "/wsman", "Path of the endpoint."
    ),
    "ansible_winrm_transport": Variable(
        checks.transport,
        "`ntlm`, `negotiate`, `kerberos`, `credssp`, `certificate`, `basic`, `plaintext`, "
        "`ssl`, or a list",
        "ntlm",
        "ntlm",
        "How to log in; of a list the first.",
    ),
    "ansible_winrm_server_cert_validation": Variable(
        checks.one_of("validate", "ignore"),
        "`validate`, `ignore`",
        "validate",
        "validate",
        "Whether the certificate must be valid.",
    ),
    "ansible_winrm_ca_trust_path": Variable(
        checks.text,
        "file",
        "the system's CAs",
        "/etc/orchestrator/ca.pem",
        "CAs to trust, in PEM, on the broker's machine.",
    ),
    "ansible_winrm_operation_timeout_sec": Variable(
        checks.whole(1, 3600),
        "seconds",
        "20",
        "20",
        'How long a server may wait before it answers "nothing yet".',
    ),
    "ansible_winrm_read_timeout_sec": Variable(
        checks.whole(2, 7200),
        "seconds",
        "30",
        "30",
        "How long to wait for an answer; more than the operation timeout.",
    ),
    "ansible_winrm_connection_timeout": Variable(
        checks.whole(1, 3600),
        "seconds",
        "",
        "20",
        "Sets both at once, wins over them: the operation timeout, and 10 more to read.",
    ),
    "ansible_winrm_message_encryption": Variable(
        checks.one_of("auto", "always", "never"),
        "`auto`, `always`, `never`",
        "auto",
        "auto",
        "Sealing of messages; auto seals over HTTP.",
    ),
    "ansible_winrm_proxy": Variable(
        checks.proxy,
        "URL",
        "",
        "http://proxy.example:3128",
        "HTTP proxy to go through; the environment's is never used.",
    ),
    "ansible_winrm_send_cbt": Variable(
        checks.boolean,
        "true or false",
        "true",
        "true",
        "Bind a login over https to its TLS channel.",
    ),
    "ansible_winrm_cert_pem": Variable(
        checks.text,
        "file",
        "",
        "/etc/orchestrator/me.pem",
        "Client certificate, in PEM; needed for transport certificate.",
    ),
    "ansible_winrm_cert_key_pem": Variable(
        checks.text,
        "file",
        "",
        "/etc/orchestrator/me.key",
        "Its key, without a passphrase, where it is not in the same file.",
    ),
    "ansible_winrm_realm": Variable(
        checks.text,
        "text",
        "krb5.conf's default",
        "GAMES.EXAMPLE",
        "Kerberos realm of a user without one.",
    ),
    "ansible_winrm_service": Variable(
        checks.text, "text", "HTTP", "WSMAN", "Kerberos service of the servers."
    ),
    "ansible_winrm_keytab": Variable(
        checks.text,
        "file",
        "",
        "/etc/orchestrator/me.keytab",
        "Kerberos keys of the user, instead of a password.",
    ),
    "ansible_winrm_kerberos_delegation": Variable(
        checks.boolean,
        "true or false",
        "false",
        "true",
        "Hand the server a ticket to act for the user elsewhere.",
    ),
    "ansible_winrm_kerberos_hostname_override": Variable(
        checks.address,
        "name",
        "`ansible_host`",
        "tpe-01.games.example",
        "The name under which Kerberos knows the server.",
    ),
    "ansible_winrm_kinit_mode": Variable(
        checks.one_of("managed", "manual"),
        "`managed`, `manual`",
        "managed with a password or keytab",
        "managed",
        "Whether the broker gets tickets itself; `manual` takes those of KRB5CCNAME.",
    ),
    "ansible_winrm_kinit_cmd": _unused("kinit", _NO_KINIT),
    "ansible_winrm_kinit_args": _unused('"-f"', _NO_KINIT),
    "ansible_winrm_kinit_env_vars": _unused("[KRB5_CONFIG]", _NO_KINIT),
    "ansible_winrm_credssp_disable_tlsv1_2": Variable(
        checks.tls_1_2, "`false`", "false", "false", "CredSSP's TLS is 1.2 at least."
    ),
    "ansible_winrm_credssp_minimum_version": Variable(
        checks.whole(2, 6),
        "2-6",
        "2",
        "5",
        "CredSSP version to insist on; from 5 on CVE-2018-0886 is closed.",
    ),
    "ansible_winrm_credssp_auth_mechanism": Variable(
        checks.one_of("auto", "ntlm", "kerberos"),
        "`auto`, `ntlm`, `kerberos`",
        "auto",
        "auto",
        "The login inside CredSSP; auto prefers Kerberos for `user@REALM`.",
    ),
}

_OURS = {
    "orchestrator_site": Variable(
        checks.text, "text", "default", "taipei", "Group of servers that one broker reaches."
    ),
    "orchestrator_slots": Variable(
        checks.whole(0, 1000), "0-1000", "1", "4", "Sessions at once; 0 takes none."
    ),
    "orchestrator_labels": Variable(
        checks.labels, "mapping", "{}", "{gpu: rtx-4070}", "Labels that games may ask for."
    ),
    "orchestrator_modes": Variable(
        checks.modes,
        "list of `periodic`, `event-driven`, `process`, `sunshine`",
        "all; `sunshine` where its user is given",
        "[periodic, process]",
        "Modes it may run.",
    ),
    "orchestrator_games": Variable(
        checks.words, "list of game ids", "all games", "[chess, go]", "Games it may run."
    ),
    "orchestrator_physical_host": Variable(
        checks.text, "text", "", "rack2-kvm1", "Machine that carries it, where it is a VM."
    ),
    "orchestrator_ports": Variable(
        checks.ports, "range", "8554-8653", "9000-9099", "Ports of streams: two a slot at least."
    ),
    "orchestrator_probe": Variable(
        checks.probe,
        "`wql`, `powershell`",
        "wql",
        "wql",
        "How its load is read; `powershell` where WMI is closed to the account.",
    ),
    "orchestrator_certificate_fingerprint": Variable(
        checks.fingerprint,
        "SHA-256",
        "",
        '"5E:0C:…"',
        "The only certificate to accept of the server, whoever signed it.",
    ),
    "orchestrator_allow_cleartext": Variable(
        checks.boolean,
        "true or false",
        "false",
        "true",
        "Let `basic` send the password over http in clear text.",
    ),
    "orchestrator_poll_interval": Variable(
        checks.whole(1, 3600),
        "seconds",
        "`--poll-interval`",
        "30",
        "Time between two polls of it.",
    ),
    "orchestrator_timezone": Variable(
        checks.timezone,
        "time zone",
        "`--timezone`",
        "Asia/Taipei",
        "In which reports tell the times of its site.",
    ),
    "orchestrator_maintenance": Variable(
        checks.maintenance,
        "list of windows",
        "[]",
        "[{weekday: sun, start: '03:00', duration: 2h, timezone: Asia/Taipei}]",
        "When it takes no sessions and raises no alerts; see below.",
    ),
    "orchestrator_stream_address": Variable(
        checks.address, "address", "`ansible_host`", "203.0.113.21", "Address players are given."
    ),
    "orchestrator_ga_directory": Variable(
        checks.windows_path,
        "Windows path",
        r"C:\GamingAnywhere\bin",
        r"D:\GA\bin",
        "GamingAnywhere's programs.",
    ),
    "orchestrator_config_directory": Variable(
        checks.windows_path,
        "Windows path",
        r"C:\GamingAnywhere\config",
        r"D:\GA\config",
        "The games' `.conf` files.",
    ),
    "orchestrator_sunshine_user": Variable(
        checks.text, "text", "none", "sunshine", "User of Sunshine's page; needed for its mode."
    ),
    "orchestrator_sunshine_password": Variable(
        checks.secret, "text", "none", "!vault …", "Its password."
    ),
    "orchestrator_sunshine_port": Variable(
        checks.whole(1029, 65514), "1029-65514", "47989", "48989", "Sunshine's base port."
    ),
}

KNOWN: Mapping[str, Variable] = {**_ANSIBLE, **_WINRM, **_OURS}
"""Every ``orchestrator_*`` and ``ansible_winrm_*`` variable, and what of Ansible's is used."""

_CLAIMED = ("orchestrator_", "ansible_winrm_")
_OTHERS = ("ansible_ssh_", "ansible_become_", "ansible_psrp_", "ansible_su_", "ansible_sudo_")
"""Of Ansible's own variables, those that are like ours and mean something else."""
_SECRET = re.compile(
    r"pass|secret|token|credential|proxy|(private|api|access|auth|ssh)_?key|vault", re.I
)


def unknown_variable(name: str) -> str | None:
    """Why a variable of our name spaces is wrong, or None."""
    if name in KNOWN or not name.startswith(_CLAIMED):
        return None
    prefix = next(each for each in _CLAIMED if name.startswith(each))
    known = [each.removeprefix(prefix) for each in KNOWN if each.startswith(prefix)]
    close = difflib.get_close_matches(name.removeprefix(prefix), known, 1, 0.6)
    hint = f"did you mean {prefix}{close[0]}?" if close else "docs/inventory.md lists them all"
    return f"there is no variable {name}: {hint}"


def near_variable(wanted: str, given: Iterable[str]) -> str | None:
    """Of Ansible's name space, the name among those given that ``wanted`` was to be."""
    names = {
        name.removeprefix("ansible_"): name
        for name in given
        if name.startswith("ansible_") and name not in KNOWN and not name.startswith(_OTHERS)
    }
    close = difflib.get_close_matches(wanted.removeprefix("ansible_"), names, 1, 0.65)
    return names[close[0]] if close else None


def is_secret(name: str, node: Node) -> bool:
    """Whether a variable's value must not be shown: by its name, or as its file is encrypted."""
    return node.hidden or _SECRET.search(name) is not None


def shown(name: str, node: Node) -> str:
    """What is written there, for an error's text, unless it may be secret."""
    if is_secret(name, node):
        return "what is written here"
    if isinstance(node.value, Vaulted):
        return "what is encrypted here"
    text = repr(node.plain())
    return text if len(text) <= 60 else text[:57] + "..."
