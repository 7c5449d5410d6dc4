"""Unquoted scalars are what YAML 1.1 says, as in Ansible, and not what 1.2 says."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from orchestrator.inventory.scalars import TAG, UnknownTag, construct, implicit_tag


def _read(text: str) -> Any:
    return construct(implicit_tag(text), text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("TRUE", True),
        ("~", None),
        ("", None),
        ("007", 7),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("1:30", 90),
        ("-12", -12),
        ("0", 0),
        ("1.5", 1.5),
        ("-.inf", -math.inf),
        ("1:30.5", 90.5),
        ("1.5e+3", 1500.0),
        ("2024-12-31", date(2024, 12, 31)),
        ("2024-12-31 01:02:03.5Z", datetime(2024, 12, 31, 1, 2, 3, 500_000, UTC)),
        (
            "2024-12-31T01:02:03+08:00",
            datetime(2024, 12, 31, 1, 2, 3, tzinfo=timezone(timedelta(hours=8))),
        ),
    ],
)
def test_a_scalar_has_its_type(text: str, value: object) -> None:
    found = _read(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["yEs", "y", "1e3", "12e34567", "0o7", "08", "1.2.3", "192.0.2.1", "9000-9099", "nUll"]
)
def test_what_only_looks_like_a_number_or_word_is_text(text: str) -> None:
    assert _read(text) == text


@pytest.mark.parametrize("text", ["2024-99-99", "2024-01-01 25:00:00"])
def test_a_date_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        _read(text)


@pytest.mark.parametrize(("kind", "text"), [("bool", "maybe"), ("int", "x"), ("timestamp", "x")])
def test_text_that_is_not_what_its_tag_says_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError):
        construct(f"{TAG}{kind}", text)


def test_a_tag_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(UnknownTag, match="!custom"):
        construct("!custom", "x")
