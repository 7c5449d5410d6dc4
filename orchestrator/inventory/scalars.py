"""Plain YAML scalars as Ansible understands them: YAML 1.1, as in ``yes`` and ``0644``.

YAML libraries differ in the corners of 1.1 (``1e3`` is text to some and a
number to others), and an inventory that means one thing here and another to
Ansible is worse than either. So the rules are written out: those of the YAML
1.1 types that Ansible's own reader applies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

TAG = "tag:yaml.org,2002:"

_TRUE = {"yes", "true", "on"}
_FALSE = {"no", "false", "off"}
_INT = re.compile(
    r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)"
)
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?"
    r"|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)"
    r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?"
    r"(?:[ \t]*(?:(Z)|([-+])([0-9]{1,2})(?::([0-9]{2}))?))?"
)


class UnknownTag(ValueError):
    """A tag that is no part of an inventory."""


def implicit_tag(text: str) -> str:
    """The tag of an unquoted scalar that has none."""
    if text in {"", "~", "null", "Null", "NULL"}:
        return f"{TAG}null"
    if text == "<<":
        return f"{TAG}merge"
    if text.lower() in _TRUE | _FALSE and text in {text.lower(), text.title(), text.upper()}:
        return f"{TAG}bool"
    if _INT.fullmatch(text):
        return f"{TAG}int"
    if _FLOAT.fullmatch(text):
        return f"{TAG}float"
    if _DATE.fullmatch(text) or _TIME.fullmatch(text):
        return f"{TAG}timestamp"
    return f"{TAG}str"


def construct(tag: str, text: str) -> Any:
    """The value of a scalar with this tag.

    ValueError where the text is no such thing,
    UnknownTag where the tag is none of ours.
    """
    make = _MAKERS.get(tag.removeprefix(TAG))
    if make is None:
        raise UnknownTag(f"the tag {tag} is not known here: write !vault, !unsafe or none")
    return make(text)


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError("write yes or no")
    return text.lower() in _TRUE


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if ":" in digits:
        return sign * int(_base_60(digits))
    for prefix, base in (("0b", 2), ("0x", 16)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)


def _real(text: str) -> float:
    digits = text.replace("_", "").lower()
    sign = -1.0 if digits.startswith("-") else 1.0
    digits = digits.lstrip("+-")
    if ":" in digits:
        return sign * _base_60(digits)
    return sign * float(digits.removeprefix(".") if digits in {".inf", ".nan"} else digits)


def _base_60(digits: str) -> float:
    total = 0.0
    for part in digits.split(":"):
        total = total * 60 + float(part)
    return total


def _timestamp(text: str) -> date | datetime:
    if match := _DATE.fullmatch(text):
        return date(int(match[1]), int(match[2]), int(match[3]))
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("write a date such as 2024-12-31, or quote it")
    parts = [int(each) for each in match.groups()[:6]]
    micro = int((match[7] or "0")[:6].ljust(6, "0"))
    zone: timezone | None = None
    if match[8]:
        zone = UTC
    elif match[9]:
        offset = timedelta(hours=int(match[10]), minutes=int(match[11] or 0))
        zone = timezone(-offset if match[9] == "-" else offset)
    year, month, day, hour, minute, second = parts
    return datetime(year, month, day, hour, minute, second, micro, zone)


_MAKERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda _: None,
    "bool": _boolean,
    "int": _integer,
    "float": _real,
    "timestamp": _timestamp,
}
