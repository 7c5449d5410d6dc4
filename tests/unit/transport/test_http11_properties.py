"""The HTTP reader: an answer, or a reason why there is none, whatever comes."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.transport import http11
from orchestrator.transport.http11 import MOST_BYTES, CutShort, NotHttp, Reader, Response

MOST_READ = 2_000_000
"""Bytes after which a reader of what never ends must have given up."""


class Pieces:
    """A socket that gives its bytes in pieces of these sizes, and then the end."""

    def __init__(self, data: bytes, sizes: list[int] | None = None) -> None:
        self._data = data
        self._sizes = iter(sizes or [])
        self.read = 0

    def recv(self, most: int) -> bytes:
        size = min(next(self._sizes, most), most)
        piece = self._data[self.read : self.read + max(1, size)]
        self.read += len(piece)
        return piece


class Endless:
    """A socket that repeats itself for ever."""

    def __init__(self, begin: bytes, again: bytes) -> None:
        self._again = again * (4096 // len(again) + 1)
        self._next = begin or self._again
        self.read = 0

    def recv(self, most: int) -> bytes:
        piece, self._next = self._next, self._again
        self.read += len(piece)
        assert self.read < MOST_READ, "it never gives up"
        return piece


def read(data: bytes, sizes: list[int] | None = None) -> Response:
    return Reader(cast("http11.socket.socket", Pieces(data, sizes))).read()


names = st.text("abcdefghijklmnopqrstuvwxyzABCDEF-", min_size=1, max_size=12)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f\x85\xa0"),
    max_size=20,
)
FRAMING = {"content-length", "transfer-encoding", "connection"}


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[str, str]], bytes]:
    """Bytes on the wire, and what they mean."""
    status = draw(st.sampled_from([200, 202, 400, 401, 413, 500, 503]))
    headers = [
        (name, value.strip())
        for name, value in draw(st.lists(st.tuples(names, values), max_size=5))
        if name.lower() not in FRAMING
    ]
    body = draw(st.binary(max_size=300))
    lines = [f"HTTP/1.1 {status} Whatever it is", *(f"{n}: {v}" for n, v in headers)]
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    kind = draw(st.sampled_from(["length", "chunks", "end"]))
    if kind == "length":
        lines.append(f"Content-Length: {len(body)}")
        payload = body
    elif kind == "chunks":
        lines.append("Transfer-Encoding: chunked")
        payload, rest = b"", body
        while rest:
            size = draw(st.integers(1, len(rest)))
            extension = draw(st.sampled_from([b"", b";a=b", b" ; a"]))
            payload += b"%x%s\r\n%s\r\n" % (size, extension, rest[:size])
            rest = rest[size:]
        payload += b"0\r\n" + draw(st.sampled_from([b"", b"X-Trailer: 1\r\n"])) + b"\r\n"
    else:
        payload = body
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return interim + head + payload, status, headers, body


sizes = st.lists(st.integers(1, 40), max_size=60)


@settings(deadline=None)
@given(answers(), sizes)
def test_an_answer_is_read_whole_however_it_is_cut_into_pieces(
    answer: tuple[bytes, int, list[tuple[str, str]], bytes], sizes: list[int]
) -> None:
    data, status, headers, body = answer
    response = read(data, sizes)
    assert (response.status, response.body) == (status, body)
    found = [pair for pair in response.headers if pair[0] not in FRAMING]
    assert found == [(name.lower(), value) for name, value in headers]


@settings(deadline=None)
@given(answers(), sizes, st.data())
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(
    answer: tuple[bytes, int, list[tuple[str, str]], bytes], sizes: list[int], data: st.DataObject
) -> None:
    whole, _, _, body = answer
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        response = read(cut, sizes)
    except CutShort:
        return
    # Only an answer that ends with its connection can look whole.
    assert response.closes
    assert body.startswith(response.body)


@settings(deadline=None)
@given(answers(), st.data())
def test_a_damaged_answer_is_an_answer_or_is_refused(
    answer: tuple[bytes, int, list[tuple[str, str]], bytes], data: st.DataObject
) -> None:
    damaged = bytearray(answer[0])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    answered_or_refused(bytes(damaged))


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(lambda b: b"HTTP/1.1 " + b)))
def test_noise_is_refused(noise: bytes) -> None:
    answered_or_refused(noise)


def answered_or_refused(data: bytes) -> None:
    try:
        response = read(data)
    except (NotHttp, CutShort):
        return
    assert isinstance(response, Response)
    assert 200 <= response.status <= 999
    assert len(response.body) <= len(data)


OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers": (OK, b"A: b\r\n"),
    "one header": (OK + b"A: ", b"b"),
    "the status line": (b"HTTP/1.1 200 ", b"OK"),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    "a chunk's size": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "a chunk's extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_given_up(what: str) -> None:
    with pytest.raises(NotHttp):
        Reader(cast("http11.socket.socket", Endless(*ENDLESS[what]))).read()


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (OK + b"\r\n", b"body"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 0x400 + b"\r\n"),
    ],
    ids=["a body until the end", "chunks"],
)
def test_a_body_that_never_ends_is_given_up(
    begin: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http11, "MOST_BYTES", 200_000)
    with pytest.raises(NotHttp):
        Reader(cast("http11.socket.socket", Endless(begin, again))).read()


REFUSED = [
    b"HTTP/2 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    OK + b"no colon\r\n\r\n",
    OK + b"Folded: a\r\n b\r\n\r\n",
    OK + b"Space : a\r\n\r\n",
    OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: +1\r\n\r\nx",
    OK + b"Content-Length: 1_0\r\n\r\nxxxxxxxxxx",
    OK + b"Content-Length: 0x1\r\n\r\nx",
    OK + b"Content-Length: \xb2\r\n\r\nxx",
    OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    OK + b"Content-Length: %d\r\n\r\n" % (MOST_BYTES + 1),
    OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    OK + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n1_0\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n+1\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("data", REFUSED)
def test_what_is_not_quite_http_is_refused(data: bytes) -> None:
    with pytest.raises(NotHttp):
        read(data)


def test_answers_follow_each_other_and_what_nobody_asked_for_is_noticed() -> None:
    data = b"".join(
        OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in (b"one", b"two")
    )
    reader = Reader(cast("http11.socket.socket", Pieces(data)))
    assert not reader.has_rest
    assert reader.read().body == b"one"
    assert reader.has_rest
    assert reader.read().body == b"two"
    assert not reader.has_rest


ENDINGS = [
    (OK + b"Content-Length: 0\r\n\r\n", False),
    (OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", True),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", True),
    (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", False),
    (OK + b"\r\n", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", False),
]


@pytest.mark.parametrize(("data", "closes"), ENDINGS)
def test_it_is_told_whether_the_connection_can_be_used_again(data: bytes, closes: bool) -> None:
    assert read(data).closes is closes
