"""Host patterns: ``web[01:10]``, ``rack[a:c]-[1:4]``, ``host:5985``, ``[2001:db8::1]:5986``."""

from __future__ import annotations

import ipaddress
import itertools
import re
import string

_BRACKETED = re.compile(r"\[(?P<host>[^\[\]]+)\]:(?P<port>[0-9]+)")
_WITH_PORT = re.compile(r"(?P<host>(?:[^:\[\]]|\[[^\]]*\])+):(?P<port>[0-9]+)")
_RANGE = re.compile(r"\[([^\[\]:]*):([^\[\]:]*)(?::([^\[\]:]*))?\]")
_NAME = re.compile(r"\w(?:[\w.-]*\w)?")
_LONGEST_NAME = 128
_MOST_HOSTS = 10_000


def expand(pattern: str) -> tuple[list[str], int | None]:
    """The host names of a pattern and the port it gives them.

    ValueError says what is wrong and what to write.
    """
    host, port = _split_port(pattern)
    names = _expand_ranges(host)
    for name in names:
        _check_name(name)
    return names, port


def _split_port(pattern: str) -> tuple[str, int | None]:
    match = _BRACKETED.fullmatch(pattern) or _WITH_PORT.fullmatch(pattern)
    if match is None:
        return pattern, None
    port = int(match["port"])
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is no port: write one from 1 to 65535")
    return match["host"], port


def _expand_ranges(pattern: str) -> list[str]:
    fixed: list[str] = []
    ranges: list[list[str]] = []
    end = 0
    for match in _RANGE.finditer(pattern):
        fixed.append(pattern[end : match.start()])
        ranges.append(_range(match[0], match[1], match[2], match[3]))
        end = match.end()
    tail = pattern[end:]
    if any("[" in part or "]" in part for part in (*fixed, tail)):
        raise ValueError("a range is written [01:10] or [a:f]")
    names = [""]
    for head, members in zip(fixed, ranges, strict=True):
        if len(names) * len(members) > _MOST_HOSTS:
            raise ValueError(f"it names more than {_MOST_HOSTS} hosts")
        names = [name + head + member for name, member in itertools.product(names, members)]
    return [name + tail for name in names]


def _range(text: str, first: str, last: str, step: str | None) -> list[str]:
    stride = _stride(text, step)
    first = first or "0"
    if first.isascii() and first.isdigit() and last.isascii() and last.isdigit():
        return _numbers(text, first, last, stride)
    letters = string.ascii_letters
    if len(first) == len(last) == 1 and first in letters and last in letters:
        begin, end = letters.index(first), letters.index(last)
        if begin > end:
            raise ValueError(f"{text} ends before it begins")
        return list(letters[begin : end + 1 : stride])
    raise ValueError(f"{text} is no range: write [01:10] or [a:f]")


def _stride(text: str, step: str | None) -> int:
    if step is None:
        return 1
    if not re.fullmatch(r"[0-9]+", step) or int(step) < 1:
        raise ValueError(f"the step of {text} must be a whole number from 1 on")
    return int(step)


def _numbers(text: str, first: str, last: str, stride: int) -> list[str]:
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    if width and len(last) != width:
        raise ValueError(f"both ends of {text} need the same number of digits")
    if int(first) > int(last):
        raise ValueError(f"{text} ends before it begins")
    if (int(last) - int(first)) // stride >= _MOST_HOSTS:
        raise ValueError(f"it names more than {_MOST_HOSTS} hosts")
    return [str(number).zfill(width) for number in range(int(first), int(last) + 1, stride)]


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"a name has at most {_LONGEST_NAME} characters, this has {len(name)}")
    if _NAME.fullmatch(name):
        return
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        raise ValueError(
            "a name is letters, digits, '.', '-' and '_', with a letter or digit at both ends"
        ) from None
