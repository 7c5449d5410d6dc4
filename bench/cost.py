"""What a call costs: the median of many rounds in which every contender has a turn."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.lab import LabProcess

_SETTLE = 0.03
"""Seconds for what goes on after the last answer; sleeping costs no CPU."""


@dataclass(frozen=True, slots=True)
class Contender:
    """``call(n)`` makes ``n`` calls, and gives the seconds that it slept in between
    where it did; ``children``: their CPU is that of child processes."""

    name: str
    call: Callable[[int], float | None]
    calls: int
    children: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one call; times in seconds."""

    cpu: float
    wall: float
    requests: float
    legs: float
    processes: float


def compare(lab: LabProcess, contenders: Sequence[Contender], rounds: int) -> dict[str, Cost]:
    """Medians by name. Rounds are interleaved and each begins with another
    contender, so that a noisy neighbour is everybody's."""
    for each in contenders:
        each.call(1)
    turns: dict[str, list[Cost]] = {each.name: [] for each in contenders}
    for number in range(rounds):
        first = number % len(contenders)
        for each in (*contenders[first:], *contenders[:first]):
            turns[each.name].append(_turn(lab, each))
    return {name: _median(costs) for name, costs in turns.items()}


def _turn(lab: LabProcess, contender: Contender) -> Cost:
    before, cpu = lab.ask("counts"), _cpu(contender.children)
    began = time.perf_counter()
    slept = contender.call(contender.calls) or 0.0
    wall = time.perf_counter() - began - slept
    time.sleep(_SETTLE)
    spent, after = _cpu(contender.children) - cpu, lab.ask("counts")
    each = {name: (after[name] - before[name]) / contender.calls for name in after}
    return Cost(
        spent / contender.calls,
        wall / contender.calls,
        each["requests"],
        each["auth_legs"],
        each["processes"],
    )


def _cpu(children: bool) -> float:
    if not children:
        return time.process_time()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        *(
            statistics.median(getattr(cost, name) for cost in costs)
            for name in ("cpu", "wall", "requests", "legs", "processes")
        )
    )
