"""The server whose busiest resource stays the least busy: live load plus reservations."""

from __future__ import annotations

from orchestrator.placement.filters import STANDARD_FILTERS
from orchestrator.placement.model import Request, ServerView, Strategy


def lowest_dominant_share(request: Request, view: ServerView) -> float:
    """One minus the largest share (CPU, memory, GPU, slots) with the request placed."""
    slots = (len(view.occupants) + 1) / view.server.slots if view.server.slots else 1.0
    dominant = max(*view.after(request), slots)
    return 1.0 - min(1.0, max(0.0, dominant))


STRATEGY = Strategy(
    name="least-loaded",
    filters=STANDARD_FILTERS,
    scorers=((lowest_dominant_share, 1.0),),
)
