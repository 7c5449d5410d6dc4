"""Types of variables: each check gives the broker's value, or says what to write."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.domain.maintenance import MaintenanceWindow
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import PortRange, Probe

Check = Callable[[Any], Any]
"""The value as the broker wants it; ValueError says what to write instead."""


def text(value: Any) -> str:
    """Text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write text, in quotes if YAML takes it for something else")
    return value


def secret(value: Any) -> str:
    """A password: text, or digits, which Ansible takes too."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError("write text, in quotes")
    return str(value)


def whole(least: int, most: int) -> Check:
    """A whole number between two others."""

    def check(value: Any) -> int:
        digits = str(value).strip()
        if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}", digits):
            raise ValueError(f"write a whole number from {least} to {most}")
        if not least <= int(digits) <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(digits)

    return check


def one_of(*choices: str) -> Check:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"write {' or '.join(choices)}")
        return str(value)

    return check


def connection(value: Any) -> str:
    """Ansible's connection plugin: WinRM only."""
    if value not in {"winrm", "ansible.builtin.winrm"}:
        raise ValueError("write winrm, and keep other hosts in an inventory of their own")
    return "winrm"


def address(value: Any) -> str:
    """A host name or IP address, alone."""
    found = text(value).strip()
    try:
        return str(ipaddress.ip_address(found.strip("[]")))
    except ValueError:
        pass
    label = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    if re.fullmatch(r"[0-9.]+", found) or not re.fullmatch(rf"{label}(?:\.{label})*\.?", found):
        raise ValueError("write a host name or IP address, without scheme, port or path")
    return found


def url_path(value: Any) -> str:
    """The path of a URL."""
    if not isinstance(value, str) or not re.fullmatch(r"/[^\s?#]*", value):
        raise ValueError("write a path such as /wsman")
    return value


def words(value: Any) -> frozenset[str]:
    """A list of text."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("write a list of text, such as [a, b]")
    return frozenset(value)


def modes(value: Any) -> frozenset[Mode]:
    """A list of modes."""
    known = [mode.value for mode in Mode]
    if not isinstance(value, list) or not value or any(each not in known for each in value):
        raise ValueError(f"write a list of: {', '.join(known)}")
    return frozenset(Mode(each) for each in value)


def labels(value: Any) -> dict[str, str]:
    """A mapping of text to text; numbers count as text."""
    if not isinstance(value, dict) or not all(
        isinstance(each, str | int | float) and not isinstance(each, bool)
        for each in value.values()
    ):
        raise ValueError("write a mapping of text to text, such as {gpu: rtx-4070}")
    return {str(key): str(each) for key, each in value.items()}


def ports(value: Any) -> PortRange:
    """A range of ports."""
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", str(value))
    if match is None:
        raise ValueError("write a range such as 8554-8653")
    try:
        return PortRange(int(match[1]), int(match[2]))
    except ValueError:
        raise ValueError("write a range within 1-65535, the smaller port first") from None


def windows_path(value: Any) -> str:
    """An absolute path on a server, with backslashes and none at its end."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]:[\\/][^<>:\"|?*]*", value):
        raise ValueError(r"write an absolute Windows path, such as C:\GamingAnywhere\bin")
    path = value.replace("/", "\\").rstrip("\\")
    return path + "\\" if path.endswith(":") else path


def transport(value: Any) -> str:
    """The first of Ansible's list."""
    names = [each.strip() for each in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or any(each not in TRANSPORTS for each in names):
        raise ValueError(f"write {' or '.join(TRANSPORTS)}")
    return str(names[0])


def boolean(value: Any) -> bool:
    """Yes or no, as Ansible takes them from text too."""
    word = str(value).strip().lower()
    if word not in {*_YES, *_NO}:
        raise ValueError("write true or false")
    return word in _YES


def fingerprint(value: Any) -> str:
    """SHA-256 of a certificate; colons, blanks and case do not matter."""
    digits = re.sub(r"[:\s]", "", str(value)).lower()
    if re.fullmatch(r"[0-9a-f]{40}", digits):
        raise ValueError(
            "this is a thumbprint by SHA-1: write the one by SHA-256, which "
            "'openssl x509 -noout -fingerprint -sha256' prints"
        )
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("write the certificate's SHA-256, 64 hexadecimal digits")
    return digits


def probe(value: Any) -> Probe:
    """How load is read."""
    return Probe(one_of("wql", "powershell")(value))


def timezone(value: Any) -> str:
    """A name of the IANA database."""
    name = text(value)
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError("write a time zone such as Asia/Taipei or UTC") from None
    return name


def maintenance(value: Any) -> tuple[MaintenanceWindow, ...]:
    """A list of windows, each by cron or by weekday and start."""
    if not isinstance(value, list):
        raise ValueError(f"write a list of windows, such as [{_WINDOW}]")
    return tuple(_window(f"window {number}", each) for number, each in enumerate(value, 1))


def _window(where: str, value: Any) -> MaintenanceWindow:
    known = {"cron", "weekday", "start", "duration", "timezone"}
    if not isinstance(value, dict) or not value.keys() <= known or "duration" not in value:
        raise ValueError(f"{where}: write it as {_WINDOW}, or with cron for weekday and start")
    if ("cron" in value) == ("start" in value) or ("cron" in value and "weekday" in value):
        raise ValueError(f"{where}: write either cron, or weekday and start")
    try:
        cron = value["cron"] if "cron" in value else _weekly(value)
        zone = str(value.get("timezone", "UTC"))
        ZoneInfo(zone)
        return MaintenanceWindow(str(cron), _minutes(value["duration"]), zone)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(f"{where}: there is no time zone {zone}: write Asia/Taipei") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _weekly(value: dict[str, Any]) -> str:
    """Days and a time of day as cron; YAML reads an unquoted 13:00 as 780."""
    start = value["start"]
    if isinstance(start, int) and not isinstance(start, bool) and 0 <= start < 24 * 60:
        hour, minute = divmod(start, 60)
    else:
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(start))
        if match is None:
            raise ValueError("start is a time of day such as '03:00'")
        hour, minute = int(match[1]), int(match[2])
    days = value.get("weekday", "*")
    days = days if isinstance(days, list) else [days]
    return f"{minute} {hour} * * {','.join(map(str, days))}"


def _minutes(value: Any) -> int:
    match = re.fullmatch(r"(?:(\d{1,3})h)?(?:(\d{1,5})m)?", str(value))
    if match is None or not match[0]:
        raise ValueError("duration is hours and minutes such as 2h, 90m or 1h30m")
    return int(match[1] or 0) * 60 + int(match[2] or 0)


_WINDOW = "{weekday: sun, start: '03:00', duration: 2h, timezone: Asia/Taipei}"


def proxy(value: Any) -> str | None:
    """The URL of an HTTP proxy; empty for none."""
    if value in {None, ""}:
        return None
    try:
        parts = urlsplit(str(value))
        right = parts.scheme == "http" and parts.hostname and parts.port
    except ValueError:
        right = False
    if not right or parts.path.strip("/") or parts.query:
        raise ValueError("write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT")
    return str(value).rstrip("/")


def tls_1_2(value: Any) -> None:
    """CredSSP's TLS before 1.2, which is not spoken."""
    if boolean(value):
        raise ValueError("CredSSP is spoken by TLS 1.2 and later: write false, or remove it")


def anything(value: Any) -> Any:
    """Not looked at."""
    return value


TRANSPORTS = (
    "ntlm",
    "negotiate",
    "kerberos",
    "credssp",
    "certificate",
    "basic",
    "plaintext",
    "ssl",
)
"""Ways to log in that are spoken."""
_YES = frozenset({"true", "yes", "on", "y", "t", "1"})
_NO = frozenset({"false", "no", "off", "n", "f", "0"})
