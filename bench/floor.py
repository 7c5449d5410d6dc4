"""The least that a sealed round trip costs in Python: the standard library's
HTTP client, pyspnego's sealing, and nothing else. No message is made or read."""

from __future__ import annotations

import base64
import http.client
import struct
from typing import Any

import spnego

from orchestrator.domain.server import Connection

_TYPE = (
    'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";'
    'boundary="Encrypted Boundary"'
)
_BEFORE = (
    "--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
    "\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={}\r\n"
    "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
)
_AFTER = b"--Encrypted Boundary--\r\n"
_MARK = b"\tContent-Type: application/octet-stream\r\n"


class Floor:
    """One authenticated connection."""

    def __init__(self, settings: Connection) -> None:
        self._path = settings.path
        self._http = http.client.HTTPConnection(settings.host, settings.port, timeout=30)
        self._context: Any = spnego.client(
            settings.user, settings.password, hostname=settings.host, protocol="ntlm"
        )
        token = self._context.step()
        while token:
            value = "Negotiate " + base64.b64encode(token).decode()
            self._http.request("POST", self._path, b"", {"Authorization": value})
            response = self._http.getresponse()
            response.read()
            offered = response.getheader("WWW-Authenticate", "").partition(" ")[2]
            if self._context.complete:
                break
            token = self._context.step(base64.b64decode(offered))
        if response.status != http.client.OK:
            raise RuntimeError(f"the server answered {response.status}")

    def send(self, message: bytes) -> bytes:
        """Seal, send, receive, open."""
        header, data, padding = self._context.wrap_winrm(message)
        before = _BEFORE.format(len(message) + padding).encode()
        body = before + struct.pack("<i", len(header)) + header + data + _AFTER
        self._http.request("POST", self._path, body, {"Content-Type": _TYPE})
        answer = self._http.getresponse().read()
        start = answer.index(_MARK) + len(_MARK)
        size = int.from_bytes(answer[start : start + 4], "little")
        signature = answer[start + 4 : start + 4 + size]
        opened: bytes = self._context.unwrap_winrm(
            signature, answer[start + 4 + size : -len(_AFTER)]
        )
        return opened

    def close(self) -> None:
        self._http.close()
