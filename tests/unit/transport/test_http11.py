"""Reading HTTP answers: whole ones in whatever pieces, and none that lies."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.transport.http11 import CutShort, NotHttp, Reader, Response

SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4;name=value\r\nhell\r\n1\r\no\r\n0\r\nTrailer: x\r\n\r\n"
)


class Pieces:
    """A socket that gives what came, a piece at a time, and then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def recv(self, size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def read(*pieces: bytes) -> Response:
    return Reader(Pieces(*pieces)).read()  # type: ignore[arg-type]


@given(st.sampled_from([SIZED, CHUNKED]), st.lists(st.integers(0, 200), max_size=6))
def test_an_answer_is_the_same_however_it_is_cut(answer: bytes, cuts: list[int]) -> None:
    marks = [0, *sorted(cuts), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(marks)]
    response = read(*pieces)
    assert response.body == b"hello"
    assert not response.closes


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
def test_an_answer_that_breaks_off_anywhere_is_none(answer: bytes) -> None:
    for length in range(len(answer)):
        with pytest.raises(CutShort):
            read(answer[:length])


def test_headers_are_found_whatever_their_case_and_kept_in_order() -> None:
    response = read(
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n"
        b'www-authenticate:Basic realm="WSMAN"\r\nContent-Length: 0\r\n\r\n'
    )
    assert response.header("www-authenticate") == "Negotiate"
    assert [value for name, value in response.headers if name == "www-authenticate"] == [
        "Negotiate",
        'Basic realm="WSMAN"',
    ]
    assert response.header("missing") == ""


def test_interim_answers_are_passed_over() -> None:
    response = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\nX: y\r\n\r\n", SIZED)
    assert (response.status, response.body) == (200, b"hello")


def test_without_a_length_the_body_goes_on_to_the_end_of_the_connection() -> None:
    response = read(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    assert (response.body, response.closes) == (b"hello", True)


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", False),
    ],
)
def test_a_server_says_whether_it_goes_on(head: bytes, closes: bool) -> None:
    assert read(head + b"Content-Length: 0\r\n\r\n").closes is closes


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_not_waited_for(status: int) -> None:
    response = read(b"HTTP/1.1 %d None\r\nContent-Length: 9\r\n\r\n" % status)
    assert response.body == b""


def test_what_came_too_much_is_noticed() -> None:
    reader = Reader(Pieces(SIZED + b"HTTP/1.1 200"))  # type: ignore[arg-type]
    reader.read()
    assert reader.has_rest


@pytest.mark.parametrize("length", ["-1", "+5", "5.0", "1e3", "0x5", "five", "99999999999", "5, 6"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(NotHttp):
        read(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello".encode())


def test_two_lengths_must_agree() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: %d\r\n\r\nhello"
    assert read(head % 5).body == b"hello"
    with pytest.raises(NotHttp, match="two different lengths"):
        read(head % 4)


@pytest.mark.parametrize("size", [b"-1", b"+5", b"0x5", b"1_0", b"", b" ", b"zz", b"FFFFFFFFF"])
def test_a_chunk_size_that_is_none_is_refused(size: bytes) -> None:
    with pytest.raises(NotHttp):
        read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0")


def test_a_chunk_longer_than_it_says_is_refused() -> None:
    with pytest.raises(NotHttp, match="longer than it says"):
        read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
    ],
)
def test_what_is_not_http_is_said_to_be_none(head: bytes) -> None:
    with pytest.raises(NotHttp):
        read(head)


def test_a_tls_alert_says_what_to_change() -> None:
    with pytest.raises(NotHttp, match="ansible_winrm_scheme: https"):
        read(b"\x15\x03\x03\x00\x02\x02\x28")


def test_headers_without_an_end_are_given_up() -> None:
    endless = [b"X: " + b"y" * 60_000 + b"\r\n"] * 3
    with pytest.raises(NotHttp, match="without an end"):
        read(b"HTTP/1.1 200 OK\r\n", *endless)


@given(st.binary(max_size=300))
def test_no_garbage_is_an_answer_or_another_error(garbage: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", SIZED[:-7], CHUNKED[:-20]):
        try:
            response = read(start + garbage)
        except (NotHttp, CutShort):
            continue
        assert 200 <= response.status <= 999
