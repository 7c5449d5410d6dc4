"""A measuring process, and the figures that Linux keeps of every process."""

from __future__ import annotations

import logging
import os
import resource
import sys
from pathlib import Path

import structlog

_TICKS = os.sysconf("SC_CLK_TCK")


def prepare() -> None:
    """Take all descriptors that are allowed, and log errors only, to stderr."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident_megabytes(pid: int | str = "self") -> float:
    """VmRSS of a process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no VmRSS of process {pid}")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def descriptors(pid: int | str = "self") -> int:
    """How many are open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int | str = "self") -> int:
    """How many the kernel knows, whoever started them."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
