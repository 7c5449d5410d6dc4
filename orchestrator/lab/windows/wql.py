"""A small WQL: SELECT columns FROM class WHERE comparisons with AND, OR, NOT."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestrator.lab.machine import LabFault, Value

Row = Mapping[str, Value]
Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign><>|<=|>=|!=|[=<>(),*]))"""
)
_SIGNS = frozenset({"=", "<>", "!=", "<", ">", "<=", ">="})


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; ``columns`` None for ``*``."""

    class_name: str
    columns: tuple[str, ...] | None
    test: Test


def refuse(reason: str) -> LabFault:
    """The fault for a query that WMI does not understand."""
    return LabFault(
        2150858778,
        "n:CannotProcessFilter",
        f"The WS-Management service cannot process the request. {reason}",
    )


def parse(text: str) -> Query:
    """Parse; LabFault where it is not WQL."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise refuse("The WQL query is invalid.")
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind]))
            position = match.end()
        self._next = 0

    def query(self) -> Query:
        self._word("SELECT")
        columns: tuple[str, ...] | None = None
        if not self._accept("*"):
            names = [self._name()]
            while self._accept(","):
                names.append(self._name())
            columns = tuple(names)
        self._word("FROM")
        class_name = self._name()
        test: Test = lambda _: True  # noqa: E731 - one of several shapes of a test
        if self._accept("WHERE"):
            test = self._any()
        if self._next != len(self._tokens):
            raise refuse("The WQL query is invalid.")
        return Query(class_name, columns, test)

    def _any(self) -> Test:
        tests = [self._all()]
        while self._accept("OR"):
            tests.append(self._all())
        return lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._accept("AND"):
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._accept("NOT"):
            inner = self._one()
            return lambda row: not inner(row)
        if self._accept("("):
            grouped = self._any()
            if not self._accept(")"):
                raise refuse("A parenthesis is missing.")
            return grouped
        name = self._name().lower()
        if self._accept("IS"):
            negated = self._accept("NOT")
            self._word("NULL")
            return lambda row: (_get(row, name) is None) is not negated
        if self._accept("LIKE"):
            pattern = _like(str(self._literal()))
            return lambda row: bool(pattern.fullmatch(str(_get(row, name) or "")))
        _, sign = self._take()
        if sign not in _SIGNS:
            raise refuse("An operator is missing.")
        wanted = self._literal()
        return lambda row: _compare(_get(row, name), sign, wanted)

    def _literal(self) -> str | float | None:
        kind, text = self._take()
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return float(text)
        if text.upper() in {"TRUE", "FALSE"}:
            return float(text.upper() == "TRUE")
        if text.upper() == "NULL":
            return None
        raise refuse("A value is missing.")

    def _name(self) -> str:
        kind, text = self._take()
        if kind != "word":
            raise refuse("A name is missing.")
        return text

    def _word(self, wanted: str) -> None:
        if not self._accept(wanted):
            raise refuse(f"{wanted} is missing.")

    def _accept(self, wanted: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next][1].upper() == wanted:
            self._next += 1
            return True
        return False

    def _take(self) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            raise refuse("The WQL query ends too early.")
        self._next += 1
        return self._tokens[self._next - 1]


def _get(row: Row, name: str) -> Value:
    for key, value in row.items():
        if key.lower() == name:
            return value
    raise refuse(f"The property {name} does not exist.")


def _like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    text = "".join(parts.get(character, re.escape(character)) for character in pattern)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def _compare(value: Value, sign: str, wanted: str | float | None) -> bool:
    if value is None or wanted is None:
        return (value is None and wanted is None) == (sign == "=")
    left: str | float
    right: str | float
    if isinstance(wanted, float) or isinstance(value, (int, bool)):
        try:
            left, right = float(str(value)), float(wanted)
        except ValueError:
            return False
    else:
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        left, right = text.lower(), str(wanted).lower()
    if sign in {"=", "!=", "<>"}:
        return (left == right) == (sign == "=")
    ordered = (left > right) - (left < right)  # type: ignore[operator]
    return {"<": ordered < 0, ">": ordered > 0, "<=": ordered <= 0, ">=": ordered >= 0}[sign]
