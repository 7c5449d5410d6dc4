"""How figures are shown: a table, and the numbers that are to be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.cost import Cost


@dataclass(frozen=True, slots=True)
class Goal:
    """A number to reach: ``value`` at most ``limit``."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def reached(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        mark = "reached" if self.reached else "MISSED "
        return f"{mark}  {self.what}: {self.value:.4g}{self.unit} (at most {self.limit:.4g})"


@dataclass(frozen=True, slots=True)
class Report:
    """What one measurement found."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        table = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.columns))]
        lines = [self.title, "-" * len(self.title)]
        for row in table:
            cells = (
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join(cells).rstrip())
        lines += [*(f"  {note}" for note in self.notes), *map(str, self.goals)]
        return "\n".join(lines)


COLUMNS = ("client", "CPU ms", "ours x", "wall ms", "requests", "auth legs", "processes")


def cost_rows(costs: Mapping[str, Cost], ours: str) -> list[list[str]]:
    """A row for each contender; ``ours x``: its CPU as a multiple of ours."""
    return [
        [
            name,
            f"{cost.cpu * 1000:.3f}",
            f"{cost.cpu / costs[ours].cpu:.2f}",
            f"{cost.wall * 1000:.2f}",
            f"{cost.requests:.2f}",
            f"{cost.legs:.2f}",
            f"{cost.processes:.2f}",
        ]
        for name, cost in costs.items()
    ]
