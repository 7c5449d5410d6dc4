"""The answer's line, among whatever else a shell's output may hold."""

from __future__ import annotations

import json

import pytest

from orchestrator.domain.errors import Outcome, ProtocolViolation, ScriptFailed
from orchestrator.transport.command import Completed
from orchestrator.transport.envelope import is_complete, read_answer


def line(**changes: object) -> bytes:
    whole = {
        "v": 1,
        "ok": True,
        "changed": True,
        "data": {"pid": 12},
        "warnings": [],
        "error": None,
    }
    return json.dumps(whole | changes).encode("ascii") + b"\r\n"


def answer(stdout: bytes, stderr: bytes = b"", code: int | None = 0) -> object:
    return read_answer(Completed(stdout, stderr, code), "a", "Get-Launch")


def test_it_is_complete_with_its_newline_and_not_a_byte_before() -> None:
    whole = line()
    assert is_complete(whole)
    for length in range(len(whole) - 1):
        assert not is_complete(whole[:length])


@pytest.mark.parametrize(
    "before",
    [b"", b"\xef\xbb\xbf", b"noise\r\n", b"\xa4\xa4\xa4\xe5 in codepage 950\r\n", b'{"v":1}\r\n'],
)
def test_what_comes_before_it_does_not_matter(before: bytes) -> None:
    assert is_complete(before + line())
    assert answer(before + line()).data == {"pid": 12}  # type: ignore[attr-defined]


def test_no_proper_end_of_it_is_taken_for_the_whole() -> None:
    nested = {"inner": json.loads(line()), "text": '{"v":1,"ok":true}'}
    whole = line(data=nested)
    assert [n for n in range(1, len(whole)) if is_complete(whole[n:])] == []


def test_one_warning_that_lost_its_list_is_still_one_warning() -> None:
    assert answer(line(warnings="slow disk")).warnings == ("slow disk",)  # type: ignore[attr-defined]
    assert answer(line(warnings=["a", 1])).warnings == ("a", "1")  # type: ignore[attr-defined]
    assert answer(line(warnings=None)).warnings == ()  # type: ignore[attr-defined]


def test_an_error_is_the_scripts_own() -> None:
    error = {"code": "port_in_use", "message": "8554 is taken", "type": "T", "at": "x:1"}
    with pytest.raises(ScriptFailed) as failed:
        answer(line(ok=False, error=error), code=1)
    assert (failed.value.code, failed.value.at) == ("port_in_use", "x:1")
    assert failed.value.outcome is Outcome.EXECUTED


def test_ok_with_an_error_is_not_a_success() -> None:
    with pytest.raises(ScriptFailed):
        answer(line(error={"code": "odd_one", "message": "m"}))


@pytest.mark.parametrize(
    "stdout", [b"", b"hello\r\n", line()[:-9], b'{"v":2,"ok":true}\r\n', b"[]\n"]
)
def test_no_answer_is_unknown_and_shows_what_was_written(stdout: bytes) -> None:
    words = "'powershell.exe' 不是內部或外部命令"
    with pytest.raises(ProtocolViolation, match="不是內部或外部命令") as failed:
        answer(stdout, words.encode("cp950"), code=1)
    assert failed.value.outcome is Outcome.UNKNOWN


def test_data_without_names_is_a_violation_of_something_that_ran() -> None:
    with pytest.raises(ProtocolViolation) as failed:
        answer(line(data=[1, 2]))
    assert failed.value.outcome is Outcome.EXECUTED
