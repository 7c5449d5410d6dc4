"""A server's load by WQL, in as many round trips as there are classes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from orchestrator.domain.errors import QueryRejected
from orchestrator.domain.server import Load
from orchestrator.transport.wql import Row, Value

CPU = (
    "SELECT PercentProcessorTime FROM Win32_PerfFormattedData_PerfOS_Processor WHERE Name='_Total'"
)
MEMORY = "SELECT TotalVisibleMemorySize, FreePhysicalMemory FROM Win32_OperatingSystem"
DESKTOP = "SELECT UserName FROM Win32_ComputerSystem"
GPU = (
    "SELECT Name, UtilizationPercentage "
    "FROM Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine "
    "WHERE UtilizationPercentage > 0"
)

_ENGINE = re.compile(r"_engtype_(.+)$")

Ask = Callable[[str], list[Row]]


def read_load(ask: Ask, at: datetime) -> Load:
    """One sample. A class that a server does not have is "not measured".

    Raises QueryRejected only where it has none of them.
    """
    answers: dict[str, list[Row]] = {}
    refused: QueryRejected | None = None
    for wql in (CPU, MEMORY, DESKTOP, GPU):
        try:
            answers[wql] = ask(wql)
        except QueryRejected as error:
            refused = error
    if not answers and refused is not None:
        raise refused
    memory = next(iter(answers.get(MEMORY, [])), {})
    total, free = (
        _number(memory.get(name)) for name in ("TotalVisibleMemorySize", "FreePhysicalMemory")
    )
    desktop = next(iter(answers.get(DESKTOP, [])), {}).get("UserName")
    return Load(
        at=at,
        cpu=_share(next(iter(answers.get(CPU, [])), {}).get("PercentProcessorTime")),
        memory_total_mb=None if total is None else int(total // 1024),
        memory_free_mb=None if free is None else int(free // 1024),
        gpu=busiest_engine(answers.get(GPU, [])),
        desktop_user=desktop if isinstance(desktop, str) and desktop else None,
    )


def busiest_engine(rows: list[Row]) -> float | None:
    """The highest engine type's sum over processes, as Task Manager shows it.

    Without a busy engine the answer is "not measured": some drivers leave the
    counters at zero, so that silence does not prove an idle GPU.
    """
    sums: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        engine = _ENGINE.search(str(row.get("Name") or ""))
        used = _number(row.get("UtilizationPercentage"))
        if engine is not None and used is not None:
            sums[engine[1]] += used
    return min(1.0, max(sums.values()) / 100) if sums else None


def _share(value: Value) -> float | None:
    number = _number(value)
    return None if number is None else min(1.0, max(0.0, number / 100))


def _number(value: Value) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
