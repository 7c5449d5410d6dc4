"""The server with the least left over, so that the large ones stay free."""

from __future__ import annotations

from orchestrator.placement.filters import STANDARD_FILTERS
from orchestrator.placement.model import Request, ServerView, Strategy


def least_left_over(request: Request, view: ServerView) -> float:
    """One minus the mean of what CPU, memory, GPU and slots would have left."""
    slots = (len(view.occupants) + 1) / view.server.slots if view.server.slots else 1.0
    shares = (*view.after(request), slots)
    left = [1.0 - min(1.0, max(0.0, share)) for share in shares]
    return 1.0 - sum(left) / len(left)


STRATEGY = Strategy(
    name="best-fit",
    filters=STANDARD_FILTERS,
    scorers=((least_left_over, 1.0),),
)
