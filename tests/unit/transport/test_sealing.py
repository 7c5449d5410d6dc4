"""Sealed messages: the layouts that are met, and what is no message of ours."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spnego.exceptions import BadMICError

from orchestrator.transport.sealing import CannotUnseal, Seal

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
CREDSSP = "application/HTTP-CredSSP-session-encrypted"


@dataclass
class Sealed:
    """What pyspnego's wrap_winrm gives."""

    header: bytes
    data: bytes
    padding_length: int


class Turned:
    """A context whose cipher is turning the bytes around, in their order."""

    def __init__(self, padding: bytes = b"") -> None:
        self._padding = padding
        self._sent = self._opened = 0

    def wrap_winrm(self, data: bytes) -> Sealed:
        self._sent += 1
        return Sealed(b"%016d" % self._sent, data[::-1] + self._padding, len(self._padding))

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        self._opened += 1
        if header != b"%016d" % self._opened:
            raise BadMICError(context_msg="out of sequence")
        return data[: len(data) - len(self._padding)][::-1]


@given(st.binary(max_size=40_000), st.sampled_from([SPNEGO, CREDSSP]))
def test_a_message_comes_back_as_it_was(message: bytes, protocol: str) -> None:
    kind, body = Seal(Turned(), protocol).wrap(message)
    assert f'protocol="{protocol}"' in kind
    assert body.endswith(b"--Encrypted Boundary--\r\n")
    assert Seal(Turned(), protocol).unwrap(body) == message


@pytest.mark.parametrize(
    ("size", "kind", "parts"),
    [(16384, "multipart/encrypted", 1), (16385, "multipart/x-multi-encrypted", 2)],
)
def test_credssp_seals_no_more_than_a_tls_record_holds(size: int, kind: str, parts: int) -> None:
    content_type, body = Seal(Turned(), CREDSSP).wrap(b"x" * size)
    assert content_type.startswith(f"{kind};")
    assert body.count(b"OriginalContent") == parts
    spnego, _ = Seal(Turned(), SPNEGO).wrap(b"x" * size)
    assert spnego.startswith("multipart/encrypted;")


def test_padding_counts_in_the_length_that_is_said() -> None:
    _, body = Seal(Turned(b"\1"), SPNEGO).wrap(b"hello")
    assert b"charset=UTF-8;Length=6\r\n" in body
    assert Seal(Turned(b"\1"), SPNEGO).unwrap(body) == b"hello"


def test_a_boundary_among_the_sealed_bytes_is_not_taken_for_one() -> None:
    message = b"...--Encrypted Boundary\r\n--Encrypted Boundary--\r\n..."[::-1]
    _, body = Seal(Turned(), SPNEGO).wrap(message)
    assert Seal(Turned(), SPNEGO).unwrap(body) == message


def part(plain: bytes, *, lead: bytes = b"\t", dashes: bytes = b"--", number: int = 1) -> bytes:
    boundary = dashes + b"Encrypted Boundary"
    return (
        boundary
        + b"\r\n"
        + lead
        + b"Content-Type: "
        + SPNEGO.encode()
        + b"\r\n"
        + lead
        + b"OriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % len(plain)
        + boundary
        + b"\r\n"
        + lead
        + b"Content-Type: application/octet-stream\r\n"
        + struct.pack("<i", 16)
        + b"%016d" % number
        + plain[::-1]
    )


@pytest.mark.parametrize(
    ("lead", "dashes"), [(b"\t", b"--"), (b"", b"--"), (b"\t", b"-- "), (b" ", b"-- ")]
)
def test_other_hosts_layouts_are_read(lead: bytes, dashes: bytes) -> None:
    """Exchange writes a blank into its boundary, and some no tab before a header."""
    body = part(b"hello", lead=lead, dashes=dashes) + dashes + b"Encrypted Boundary--\r\n"
    assert Seal(Turned(), SPNEGO).unwrap(body) == b"hello"


def test_several_parts_are_one_message() -> None:
    body = part(b"hel") + part(b"lo", number=2) + b"--Encrypted Boundary--\r\n"
    assert Seal(Turned(), SPNEGO).unwrap(body) == b"hello"


def test_a_part_that_is_missing_or_came_twice_is_noticed() -> None:
    for numbers in ((2,), (1, 1), (1, 3)):
        body = b"".join(part(b"x", number=each) for each in numbers)
        with pytest.raises(CannotUnseal, match="not sealed for this connection"):
            Seal(Turned(), SPNEGO).unwrap(body + b"--Encrypted Boundary--\r\n")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no sealed part"),
        (b"<s:Envelope/>", "no sealed part"),
        (b"--Encrypted Boundary--\r\n", "no sealed part"),
        (part(b"")[:-20] + b"--Encrypted Boundary--\r\n", "sealed part is empty"),
        (part(b"")[:-20] + struct.pack("<i", 99) + b"--Encrypted Boundary--\r\n", "longer than"),
        (part(b"")[:-20] + struct.pack("<i", -1) + b"--Encrypted Boundary--\r\n", "longer than"),
    ],
)
def test_what_is_no_sealed_message_says_why(body: bytes, why: str) -> None:
    with pytest.raises(CannotUnseal, match=why):
        Seal(Turned(), SPNEGO).unwrap(body)


@given(st.binary(max_size=200), st.integers(0, 300))
def test_garbage_is_opened_or_refused_and_nothing_else(garbage: bytes, at: int) -> None:
    whole = part(b"hello") + b"--Encrypted Boundary--\r\n"
    for body in (garbage, whole[:at] + garbage, whole[:at] + garbage + whole[at:]):
        try:
            Seal(Turned(), SPNEGO).unwrap(body)
        except CannotUnseal:
            continue


def test_the_case_of_a_boundary_makes_no_difference() -> None:
    _, body = Seal(Turned(), SPNEGO).wrap(b"12345")
    odd = body.replace(b"--Encrypted Boundary", b"--encrypted boundary")
    assert odd != body
    assert Seal(Turned(), SPNEGO).unwrap(odd) == b"12345"
