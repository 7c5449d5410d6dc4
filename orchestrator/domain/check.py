"""What a server lacks before it can run games."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.server import PortRange, Server


class Verdict(StrEnum):
    """Of one item. ``warning``: games run, but not well or not for long.
    ``problem``: they do not. ``not_measured``: it could not be looked at."""

    OK = "ok"
    NOT_MEASURED = "not_measured"
    WARNING = "warning"
    PROBLEM = "problem"


_ORDER = tuple(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest of some verdicts; ok where there is none."""
    return max(verdicts, key=_ORDER.index, default=Verdict.OK)


@dataclass(frozen=True, slots=True)
class CheckItem:
    """One item: what was found, and what to do where it is not ok."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """What the inventory expects of the server."""

    ga_directory: str
    config_directory: str
    modes: tuple[str, ...]
    ports: PortRange

    @classmethod
    def for_server(cls, server: Server) -> CheckOrder:
        """As the inventory has it."""
        modes = tuple(sorted(mode.value for mode in server.modes))
        return cls(server.ga_directory, server.config_directory, modes, server.ports)


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What the server says of itself: its name, the account that asked, the items."""

    computer: str
    account: str
    items: tuple[CheckItem, ...]


@dataclass(frozen=True, slots=True)
class CheckedServer:
    """A report with how the calls themselves went; both names are empty where no
    script could run there."""

    server: str
    computer: str
    account: str
    items: tuple[CheckItem, ...]

    @property
    def verdict(self) -> Verdict:
        """The gravest of its items."""
        return worst(item.verdict for item in self.items)
