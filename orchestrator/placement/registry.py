"""Finds the strategies: each module of ``strategies`` defines a ``STRATEGY``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from orchestrator.domain.errors import UnknownStrategy
from orchestrator.placement import strategies
from orchestrator.placement.model import Strategy


@cache
def _all() -> dict[str, Strategy]:
    found: dict[str, Strategy] = {}
    for module in pkgutil.iter_modules(strategies.__path__):
        strategy: Strategy = importlib.import_module(
            f"{strategies.__name__}.{module.name}"
        ).STRATEGY
        found[strategy.name] = strategy
    return found


def strategy_names() -> tuple[str, ...]:
    """Names of every strategy, sorted."""
    return tuple(sorted(_all()))


def find_strategy(name: str) -> Strategy:
    """The strategy of that name; UnknownStrategy where there is none."""
    try:
        return _all()[name]
    except KeyError:
        known = ", ".join(strategy_names())
        raise UnknownStrategy(f"no strategy {name!r}; choose one of: {known}") from None
