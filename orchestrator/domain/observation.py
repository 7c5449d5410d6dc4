"""What one look at a server found: its load, and which processes live there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.launch import Launch
from orchestrator.domain.server import Load


@dataclass(frozen=True, slots=True)
class Observation:
    """A server's own truth at ``load.at``.

    ``living`` are those of the launches asked for whose very process lives,
    None where the server does not tell. ``clients`` counts the established TCP
    connections to each stream port asked for, None where that is not measured.
    """

    load: Load
    living: frozenset[Launch] | None = None
    clients: Mapping[int, int] | None = None
