"""What polls find becomes what is held true."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.health import Condition, Finding, finding_of
from orchestrator.domain.server import Health, Load
from tests.fakes import GOOD_LOAD, START

SILENT = Finding(Health.UNREACHABLE, "nothing answers")
UP = Finding(Health.UP)


def after(*findings: Finding) -> Condition:
    condition = Condition()
    for number, finding in enumerate(findings):
        condition = condition.after(finding, START + timedelta(seconds=number))
    return condition


def test_the_first_poll_is_believed_at_once() -> None:
    assert after(SILENT) == Condition(Health.UNREACHABLE, "nothing answers", START)


def test_one_failed_poll_is_a_doubt_and_two_in_a_row_are_news() -> None:
    assert (after(UP, SILENT).health, after(UP, SILENT).doubts) == (Health.UP, 1)
    down = after(UP, SILENT, SILENT)
    assert (down.health, down.since) == (Health.UNREACHABLE, START + timedelta(seconds=2))


def test_a_good_poll_ends_the_doubt() -> None:
    assert after(UP, SILENT, UP, SILENT).health is Health.UP


def test_coming_back_takes_two_good_polls_too() -> None:
    assert after(SILENT, UP).health is Health.UNREACHABLE
    assert after(SILENT, UP, UP).health is Health.UP


def test_a_refusal_is_believed_at_once_for_asking_again_could_lock_the_account() -> None:
    assert after(UP, Finding(Health.REFUSED)).health is Health.REFUSED


def test_the_reason_is_always_the_last_one() -> None:
    again = Finding(Health.UNREACHABLE, "timed out")
    assert after(SILENT, again).reason == "timed out"


@pytest.mark.parametrize(
    ("load", "health", "reason"),
    [
        (GOOD_LOAD, Health.UP, ""),
        (Load(START), Health.DEGRADED, "neither its CPU nor its memory can be read"),
        (
            replace(GOOD_LOAD, desktop=False),
            Health.UNREADY,
            "nobody is logged on at its desktop",
        ),
        (replace(GOOD_LOAD, locked=True), Health.DEGRADED, "its desktop is locked"),
        (replace(GOOD_LOAD, desktop=None, locked=None, gpu=None), Health.UP, ""),
    ],
)
def test_what_an_answer_says(load: Load, health: Health, reason: str) -> None:
    assert finding_of(load) == Finding(health, reason)
