"""Why a server was chosen: every rejection and score, kept with the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Verdict:
    """What placement thought of one server.

    Rejected: ``rejected_by`` names the filter and ``reason`` says why.
    Otherwise ``scores`` holds each scorer's value in [0, 1] and ``total`` the
    weighted mean.
    """

    server: str
    rejected_by: str | None = None
    reason: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One placement: the strategy, the choice and a verdict for every server.

    ``seed`` makes the tie-break repeatable: it is the session's id.
    """

    strategy: str
    seed: str
    chosen: str | None
    verdicts: tuple[Verdict, ...]

    def reasons(self) -> dict[str, str]:
        """Reason of each rejected server."""
        return {v.server: v.reason or "" for v in self.verdicts if v.rejected_by}
