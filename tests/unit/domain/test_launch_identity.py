"""PID, creation time and image together name a process."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.launch import Launch, same_image

BORN = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
LAUNCH = Launch(4242, BORN, r"C:\Games\Chess\chess.exe")


def test_two_readings_of_one_process_agree_though_their_digits_differ() -> None:
    assert LAUNCH.is_same_process(replace(LAUNCH, created_at=BORN + timedelta(milliseconds=1)))


@pytest.mark.parametrize(
    "other",
    [
        replace(LAUNCH, pid=4246),
        replace(LAUNCH, created_at=BORN + timedelta(seconds=1)),
        replace(LAUNCH, image=r"C:\Windows\notepad.exe"),
    ],
)
def test_a_process_that_differs_in_any_of_the_three_is_another(other: Launch) -> None:
    assert not LAUNCH.is_same_process(other)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (r"C:\Games\a.exe", r"c:\GAMES\A.EXE", True),
        (r"C:\Games\a.exe", "a.exe", True),
        (r"C:\Games\a.exe", r"D:\Games\a.exe", False),
        (r"C:\遊戲\a.exe", r"C:/遊戲/a.exe", True),
        ("a.exe", "b.exe", False),
    ],
)
def test_images_are_compared_as_windows_does(left: str, right: str, same: bool) -> None:
    assert same_image(left, right) is same
