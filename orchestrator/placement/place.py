"""Run a strategy over a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from orchestrator.domain.decision import Decision, Verdict
from orchestrator.placement.model import Request, ServerView, Strategy


def place(request: Request, views: Iterable[ServerView], strategy: Strategy) -> Decision:
    """Choose a server and account for every one of ``views``.

    The order of ``views`` does not matter. Equal totals are settled by a hash
    of the request's seed and the server's name, so that a decision can be
    replayed and ties do not always fall on the same server.
    """
    verdicts = [_judge(request, view, strategy) for view in views]
    verdicts.sort(key=lambda verdict: verdict.server)
    fitting = [verdict for verdict in verdicts if verdict.rejected_by is None]
    chosen = max(
        fitting, key=lambda v: (v.total or 0.0, _lot(request.seed, v.server)), default=None
    )
    return Decision(
        strategy=strategy.name,
        seed=request.seed,
        chosen=chosen.server if chosen else None,
        verdicts=tuple(verdicts),
    )


def _judge(request: Request, view: ServerView, strategy: Strategy) -> Verdict:
    for check in strategy.filters:
        reason = check(request, view)
        if reason is not None:
            return Verdict(view.server.name, rejected_by=check.__name__, reason=reason)
    scores = {scorer.__name__: scorer(request, view) for scorer, _ in strategy.scorers}
    weights = sum(weight for _, weight in strategy.scorers)
    total = sum(scores[scorer.__name__] * weight for scorer, weight in strategy.scorers)
    return Verdict(view.server.name, scores=scores, total=total / weights if weights else 0.0)


def _lot(seed: str, server: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{server}".encode()).digest()
