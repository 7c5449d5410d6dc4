"""Envelopes of our own making, for what is asked often: filling in text costs
a tenth of building the same tree."""

from __future__ import annotations

import os
from xml.sax.saxutils import escape

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"

_ENVELOPE = (
    f'<s:Envelope xmlns:s="{SOAP}"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    f' xmlns:n="{ENUMERATION}" xmlns:w="{WSMAN}"'
    ' xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd">'
    "<s:Header><a:To>%s</a:To>"
    '<a:ReplyTo><a:Address s:mustUnderstand="true">'
    "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
    '<w:ResourceURI s:mustUnderstand="true">%s</w:ResourceURI>'
    '<a:Action s:mustUnderstand="true">%s</a:Action>'
    "<a:MessageID>uuid:%s</a:MessageID>"
    '<w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize>'
    '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>'
    '<p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>'
    "<w:OperationTimeout>PT%dS</w:OperationTimeout>"
    "</s:Header><s:Body>%s</s:Body></s:Envelope>"
)


def envelope(url: str, action: str, resource: str, body: str, seconds: int) -> bytes:
    """A request. ``body`` is XML that may use the prefixes n and w; ``seconds``
    is how long the server may take."""
    text = _ENVELOPE % (escape(url), resource, action, _new_uuid(), seconds, body)
    return text.encode("utf-8")


def _new_uuid() -> str:
    """A random UUID [RFC 9562, 5.4]; making an object of it first costs four times as much."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
