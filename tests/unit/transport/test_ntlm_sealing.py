"""NTLM's message security against pyspnego, which is at the other end here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spnego
from spnego.exceptions import BadMICError

from orchestrator.transport.ntlm_sealing import NtlmSealing

MESSAGES = [b"x" * size for size in (0, 1, 7, 1000, 70_000)]


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any, bytes]]:
    """A client and a server that have authenticated, and the client's last token."""
    users = tmp_path / "users"
    users.write_text(":me:secret\n", encoding="utf-8")
    monkeypatch.setitem(os.environ, "NTLM_USER_FILE", str(users))
    client = spnego.client("me", "secret", hostname="there", protocol="ntlm")
    server = spnego.server(protocol="ntlm")
    last = client.step(server.step(client.step()))
    server.step(last)
    return client, server, last


def test_it_seals_and_opens_as_pyspnego_does(peers: tuple[Any, Any, bytes]) -> None:
    client, server, last = peers
    ours = NtlmSealing.after(last, client)
    assert ours is not None
    for message in MESSAGES:
        header, data, padding = ours.wrap_winrm(message)
        assert padding == 0
        assert server.unwrap_winrm(header, data) == message
        header, data, _ = server.wrap_winrm(message)
        assert ours.unwrap_winrm(header, data) == message


def test_a_changed_message_is_not_opened(peers: tuple[Any, Any, bytes]) -> None:
    client, server, last = peers
    ours = NtlmSealing.after(last, client)
    assert ours is not None
    header, data, _ = server.wrap_winrm(b"stop the game")
    with pytest.raises(BadMICError):
        ours.unwrap_winrm(header, bytes([data[0] ^ 1]) + data[1:])


def test_a_message_out_of_its_order_is_not_opened(peers: tuple[Any, Any, bytes]) -> None:
    client, server, last = peers
    ours = NtlmSealing.after(last, client)
    assert ours is not None
    server.wrap_winrm(b"first")
    header, data, _ = server.wrap_winrm(b"second")
    with pytest.raises(BadMICError):
        ours.unwrap_winrm(header, data)


@pytest.mark.parametrize("flag", [0x40000000, 0x20000000, 0x00080000, 0x20, 0x10])
def test_security_negotiated_otherwise_is_left_to_pyspnego(
    peers: tuple[Any, Any, bytes], flag: int
) -> None:
    client, _, last = peers
    flags = int.from_bytes(last[60:64], "little") & ~flag
    assert NtlmSealing.after(last[:60] + flags.to_bytes(4, "little") + last[64:], client) is None


@pytest.mark.parametrize("token", [None, b"", b"NTLMSSP\0\1\0\0\0" + b"\xff" * 80, b"\x60" * 80])
def test_other_tokens_are_left_to_pyspnego(
    peers: tuple[Any, Any, bytes], token: bytes | None
) -> None:
    assert NtlmSealing.after(token, peers[0]) is None
