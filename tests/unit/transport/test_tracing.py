"""SOAP that is shown holds nothing that is nobody's business."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.transport.tracing import CallTrace, Totals, blanked
from orchestrator.transport.wire import Traffic

SECRET = "Tr0ub4dor-密碼"
ENCODED = base64.b64encode(SECRET.encode()).decode()
ACTION = "<a:Action>http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Send</a:Action>"


def envelope(body: str) -> bytes:
    return f"<s:Envelope><s:Header>{ACTION}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()


BODIES = [
    '<rsp:Stream Name="stdin" CommandId="8AD40B62" End="true">%s</rsp:Stream>',
    "<Stream>%s</Stream>",
    "<other-prefix.1:Stream>%s</other-prefix.1:Stream>",
    "<rsp:Stream>\n  %s\n</rsp:Stream>",
    "<rsp:Stream><![CDATA[%s]]></rsp:Stream>",
    "<rsp:Stream>1<![CDATA[2]]>%s</rsp:Stream>",
    "<rsp:Stream>1<b/>%s</rsp:Stream>",
    "<rsp:Stream>1<b>2</b>%s</rsp:Stream>",
    "<rsp:Stream>1<!-- %s --></rsp:Stream>",
    "<rsp:Stream Name='a>b' other=\"c>d\">%s</rsp:Stream>",
    '<rsp:Stream Odd="%s">x</rsp:Stream>',
    "<rsp:Stream Odd='%s'>x</rsp:Stream>",
    "<rsp:CommandLine><rsp:Command>%s</rsp:Command></rsp:CommandLine>",
    "<rsp:CommandLine><rsp:Command>x</rsp:Command><rsp:Arguments>-Enc %s</rsp:Arguments>"
    "</rsp:CommandLine>",
    '<rsp:Environment><rsp:Variable Name="PASSWORD">%s</rsp:Variable></rsp:Environment>',
    "<rsp:WorkingDirectory>%s</rsp:WorkingDirectory>",
    "<p:Win32_Process><p:CommandLine>game.exe --token %s</p:CommandLine></p:Win32_Process>",
    "<w:XmlFragment><CommandLine>%s</CommandLine></w:XmlFragment>",
    "<w:XmlFragment><UserName>%s</UserName></w:XmlFragment>",
    "<cfg:Password>%s</cfg:Password>",
    "<x:Unknown>%s</x:Unknown>",
    "%s",
    "<?pi %s?>",
    "<!DOCTYPE a [<!ENTITY b '%s'>]>",
]


@pytest.mark.parametrize("secret", [SECRET, ENCODED])
@pytest.mark.parametrize("body", BODIES)
def test_no_secret_is_shown_wherever_it_stands_and_wherever_the_message_is_cut(
    body: str, secret: str
) -> None:
    message = envelope(body.replace("%s", secret))
    assert secret[:6] in message.decode()
    for end in range(len(message) + 1):
        assert secret[:6] not in blanked(message[:end])


@pytest.mark.parametrize("length", [3_000, 31_900, 32_000, 40_000])
def test_no_long_secret_is_shown_at_the_limit_of_what_is_displayed(length: int) -> None:
    stream = f'<rsp:Stream Name="stdout">{ENCODED * (length // len(ENCODED))}</rsp:Stream>'
    assert ENCODED[:6] not in blanked(envelope(stream))
    before = "<a:To>" + "x" * length + "</a:To>"
    assert ENCODED[:6] not in blanked(envelope(before + stream))


def test_a_digit_only_secret_is_not_taken_for_a_number() -> None:
    for name in ("Stream", "Arguments", "Password", "ApiKey", "Variable"):
        assert "123456" not in blanked(envelope(f"<x:{name}>123456</x:{name}>"))


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_anything_at_all_can_be_blanked(noise: bytes) -> None:
    assert isinstance(blanked(noise), str)
    assert SECRET not in blanked(envelope(f"<Stream>{SECRET}")[:-30] + noise)


def test_what_helps_to_understand_a_call_is_shown() -> None:
    fault = (
        '<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang="zh-TW">'
        '存取被拒。</s:Text></s:Reason><f:WSManFault Code="5" Machine="GAME-01"/></s:Fault>'
    )
    row = "<w:XmlFragment><PercentProcessorTime>12</PercentProcessorTime></w:XmlFragment>"
    shown = blanked(envelope(fault + row))
    for text in ("shell/Send", "s:Sender", "存取被拒。", 'Code="5"', 'Machine="GAME-01"', ">12<"):
        assert text in shown


def test_totals_are_added_up_by_kind_of_call() -> None:
    totals = Totals()
    totals(CallTrace("a", "wql", 0.2, 0.1, Traffic(1, 2, 300, 400, 0.05)))
    totals(CallTrace("b", "wql", 0.4, 0.1, Traffic(1, 0, 300, 400, 0.15), "connection_lost"))
    totals(CallTrace("a", "Start-Game", 1.0, 0.1, Traffic(4)))
    start, wql = totals.rows()
    assert (start["kind"], start["calls"], start["requests"]) == ("Start-Game", 1, 4)
    assert wql["errors"] == {"connection_lost": 1}
    figures = ("calls", "requests", "auth_legs", "sent_bytes", "received_bytes")
    assert [wql[name] for name in figures] == [2, 2, 2, 600, 800]
    assert wql["waited_seconds"] == pytest.approx(0.2)
    assert wql["wall_seconds"] == pytest.approx(0.6)
    assert wql["cpu_seconds"] == pytest.approx(0.2)
