"""What a call cost, and SOAP that may be shown.

Numbers go to whoever listens (``CallTrace``); messages go to the log at debug
level, with all blanked that is not known to be harmless: scripts, parameters
and output travel in them, and they are nobody's business.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.transport.wire import Traffic

_MOST_SHOWN = 4000
_MOST_READ = _MOST_SHOWN * 8

_TOKEN = re.compile(
    r"""<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)
    |<!--.*?(?:-->|\Z)
    |<[?!][^>]*(?:>|\Z)
    |<(?P<close>/?)(?P<name>[^\s<>/"']+)(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>
    |(?P<cut><.*)
    |(?P<text>[^<]+)""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([^\s=<>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_HARMLESS = re.compile(
    r"[-+0-9.,:/ ]*|P[0-9.DTHMS]+|[0-9T:.Z+-]+|true|false|(?:uuid:)?[0-9A-Fa-f-]{36}"
)
_SHOWN_TEXT = re.compile(
    "Action|ActivityId|Address|Code|CommandId|DesiredStream|EnumerationContext|ExitCode|Filter"
    "|IdleTimeOut|InputStreams|MaxElements|MaxEnvelopeSize|Message|MessageID|OperationID"
    "|OperationTimeout|Option|OutputStreams|ProductVendor|ProductVersion|ProtocolVersion"
    "|RelatesTo|ResourceURI|ResourceUri|Selector|SessionId|ShellId|Text|To|Value"
)
_SHOWN_ATTRIBUTE = re.compile(
    "Code|CommandId|Dialect|End|IsCIM_Error|Machine|Name|ShellId|State|lang|mustUnderstand|nil|type"
)
_SECRET = re.compile(
    r"Stream|Argument|Variable|CommandLine|Script|Password|Secret|Token|Credential|Key",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"DesiredStream", "InputStreams", "OutputStreams"})


def blanked(message: bytes) -> str:
    """A message of which only structure, addresses, ids, numbers and faults are
    left, whatever prefixes it uses and wherever it was cut off."""
    shown: list[str] = []
    inside: list[str] = []
    for token in _TOKEN.finditer(message[:_MOST_READ].decode("utf-8", "replace")):
        if token["name"]:
            local = token["name"].rpartition(":")[2]
            shown.append(_tag(token))
            if token["close"]:
                inside = inside[:-1]
            elif not token["attributes"].endswith("/"):
                inside.append(local)
        elif token["cut"]:
            shown.append("<...")
        elif token["text"] or token["cdata"]:
            shown.append(_text(token["text"] or token["cdata"], inside))
    return "".join(shown)[:_MOST_SHOWN]


def _text(text: str, inside: list[str]) -> str:
    plain = text.strip()
    if not plain:
        return text
    name = inside[-1] if inside else ""
    secret = any(_SECRET.search(each) and each not in _NOT_SECRET for each in inside)
    if not secret and inside and (_SHOWN_TEXT.fullmatch(name) or _HARMLESS.fullmatch(plain)):
        return text
    return f"[{len(text)} characters]"


def _tag(token: re.Match[str]) -> str:
    attributes = []
    for name, value in _ATTRIBUTE.findall(token["attributes"]):
        local = name.rpartition(":")[2]
        known = name.startswith("xmlns") or _SHOWN_ATTRIBUTE.fullmatch(local)
        attributes.append(f" {name}={value if known else value[0] + '...' + value[0]}")
    end = "/" if token["attributes"].endswith("/") else ""
    return f"<{token['close']}{token['name']}{''.join(attributes)}{end}>"


@dataclass(frozen=True, slots=True)
class CallTrace:
    """One call: ``kind`` is a script's name or ``wql``; times are in seconds.

    ``cpu`` is the calling thread's own, ``traffic.waited`` what it spent
    waiting for the server, ``wall`` both and everything else. ``error`` is the
    code of what it ended with, empty for a success.
    """

    server: str
    kind: str
    wall: float
    cpu: float
    traffic: Traffic
    error: str = ""


Listener = Callable[[CallTrace], None]


class Totals:
    """A listener that sums up, by kind of call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._errors: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._traffic: defaultdict[str, Traffic] = defaultdict(Traffic)
        self._cpu: defaultdict[str, float] = defaultdict(float)
        self._wall: defaultdict[str, float] = defaultdict(float)

    def __call__(self, trace: CallTrace) -> None:
        """Add one call."""
        with self._lock:
            self._calls[trace.kind] += 1
            self._cpu[trace.kind] += trace.cpu
            self._wall[trace.kind] += trace.wall
            if trace.error:
                self._errors[trace.kind, trace.error] += 1
            self._traffic[trace.kind].add(trace.traffic)

    def rows(self) -> list[dict[str, object]]:
        """A row for each kind of call, in their order by name."""
        with self._lock:
            return [
                {
                    "kind": kind,
                    "calls": calls,
                    "errors": {c: n for (k, c), n in sorted(self._errors.items()) if k == kind},
                    "requests": self._traffic[kind].requests,
                    "auth_legs": self._traffic[kind].legs,
                    "sent_bytes": self._traffic[kind].sent,
                    "received_bytes": self._traffic[kind].received,
                    "waited_seconds": self._traffic[kind].waited,
                    "cpu_seconds": self._cpu[kind],
                    "wall_seconds": self._wall[kind],
                }
                for kind, calls in sorted(self._calls.items())
            ]
