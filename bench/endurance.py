"""What a hundred thousand calls, and ten thousand faults, leave behind.

Calls: nine WQL queries to one script call. Faults: each is injected at the lab
and met by a query or a script call, wherever in the call it strikes; hanging
ones are few, because each costs its call's whole time limit.
"""

from __future__ import annotations

import random
import threading
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.lab import MEMORY, LabProcess
from bench.process import descriptors, resident_megabytes, threads
from bench.report import Goal, Report
from orchestrator.domain.errors import ServerCallError
from orchestrator.transport import WinrmGateway

_WORKERS = 8
_SERVERS = 48
_SCRIPT_EVERY = 10
_LONGEST_IDLE = 240.0
"""Seconds after which Windows has ended every shell that was left to finish."""

_SHELL_ACTIONS = ("Create", "Command", "Send", "Receive", "Signal", "Delete")
_QUICK = (
    "drop_before",
    "drop_after",
    "drop_midway",
    "401",
    "503",
    "garbage",
    "access_denied",
    "quota_shells",
    "quota_operations",
)
_SLOW = ("hang", "hang_after", "drip")
_SLOW_SHARE = 0.02
_FLAT_MEGABYTES = 2.0
"""Growth that is still called flat; the first tenth of a run warms up."""


@dataclass(slots=True)
class _Sizes:
    """What the client's process holds at some moments."""

    megabytes: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def take(self) -> None:
        self.megabytes.append(resident_megabytes())
        self.descriptors.append(descriptors())
        self.threads.append(threads())


def run(options: Namespace) -> list[Report]:
    reports = []
    if options.endurance_calls:
        with LabProcess(min(_SERVERS, options.servers)) as lab:
            reports.append(_calls(lab, options.endurance_calls))
    if options.faults:
        with LabProcess(min(_SERVERS, options.servers)) as lab:
            reports.append(_faults(lab, options.faults))
    return reports


def _calls(lab: LabProcess, calls: int) -> Report:
    errors: Counter[str] = Counter()
    names = list(lab.connections)

    def call(gateway: WinrmGateway, number: int) -> None:
        server = names[number % len(names)]
        try:
            if number // len(names) % _SCRIPT_EVERY == 0:
                gateway.find_launches(server)
            else:
                gateway.query(server, MEMORY)
        except ServerCallError as error:
            errors[error.code] += 1

    with (
        _watched(lab, {"call_timeout": 60.0, "probe_timeout": 60.0}) as (gateway, sizes, before),
        ThreadPoolExecutor(_WORKERS) as pool,
    ):
        for part in _tenths(calls):
            list(pool.map(lambda number: call(gateway, number), part))
            sizes.take()
    return _report(
        f"{calls} calls, 9 WQL queries : 1 script call",
        lab,
        sizes,
        before,
        [f"calls that failed: {dict(errors) or 'none'}"],
    )


def _faults(lab: LabProcess, faults: int) -> Report:
    chance, lock = random.Random(1), threading.Lock()
    outcomes: Counter[str] = Counter()
    names = list(lab.connections)

    def inject(number: int) -> str:
        server = number % len(names)
        with lock:
            slow = chance.random() < _SLOW_SHARE
            action = chance.choice((*_SHELL_ACTIONS, "Enumerate", "Enumerate"))
            kind = chance.choice(_SLOW if slow else _QUICK)
            skip = chance.randrange(2) if action == "Receive" else 0
            lab.ask("fault", server=server, action=action, kind=kind, skip=skip, seconds=0.0)
        return "query" if action == "Enumerate" else "script"

    def meet(gateway: WinrmGateway, number: int) -> None:
        kind, server = inject(number), names[number % len(names)]
        calls: list[Callable[[], object]] = [lambda: gateway.query(server, MEMORY)]
        if kind == "script":
            calls.insert(0, lambda: gateway.find_launches(server))
        for each in calls:
            try:
                each()
                ended = "done"
            except ServerCallError as error:
                ended = f"{error.code}, {error.outcome.value}"
            with lock:
                outcomes[ended] += 1

    injected = happened = 0
    with _watched(lab, {"call_timeout": 3.0, "probe_timeout": 3.0}) as (gateway, sizes, before):
        with ThreadPoolExecutor(_WORKERS) as pool:
            while happened < faults:
                part = range(injected, injected + max(1, faults // 10))
                list(pool.map(lambda number: meet(gateway, number), part))
                injected = part.stop
                happened = injected - lab.ask("waiting")
                sizes.take()
        lab.ask("clear")
    notes = [
        f"faults that happened: {happened}",
        *(f"{count} calls: {ended}" for ended, count in outcomes.most_common()),
    ]
    return _report(f"{happened} injected faults", lab, sizes, before, notes)


@contextmanager
def _watched(
    lab: LabProcess, limits: dict[str, float]
) -> Iterator[tuple[WinrmGateway, _Sizes, _Sizes]]:
    """A gateway, and what its process holds before it began, meanwhile and after."""
    before = _Sizes()
    before.take()
    gateway, sizes = lab.gateway(**limits), _Sizes()
    try:
        yield gateway, sizes, before
    finally:
        gateway.close()
    _wait_until(lambda: threads() <= before.threads[0], 5)
    sizes.take()


def _tenths(calls: int) -> Iterator[range]:
    step = max(1, calls // 10)
    for start in range(0, calls, step):
        yield range(start, min(calls, start + step))


def _report(title: str, lab: LabProcess, sizes: _Sizes, before: _Sizes, notes: list[str]) -> Report:
    left, waited = _wait_for_shells(lab)
    growth = sizes.megabytes[-2] - sizes.megabytes[0]
    moments = range(len(sizes.megabytes))
    rows = [
        [
            "after closing" if moment == moments[-1] else f"{moment + 1}",
            f"{sizes.megabytes[moment]:.1f}",
            str(sizes.descriptors[moment]),
            str(sizes.threads[moment]),
        ]
        for moment in moments
    ]
    return Report(
        title,
        ("tenth of the run", "RSS MB", "descriptors", "threads"),
        rows,
        [
            Goal("memory grown after the first tenth", growth, _FLAT_MEGABYTES, " MB"),
            Goal("descriptors left", sizes.descriptors[-1] - before.descriptors[0], 0),
            Goal("threads left", sizes.threads[-1] - before.threads[0], 0),
            Goal("shells left on the servers", left["shells"], 0),
            Goal("processes left on the servers", left["session 0 processes"], 0),
            Goal("enumerations left on the servers", left["enumerations"], 0),
            Goal("connections left on the servers", left["connections"], 0),
        ],
        [*notes, f"the last shell was gone {waited:.0f} s after the gateway closed"],
    )


def _wait_for_shells(lab: LabProcess) -> tuple[dict[str, int], float]:
    """What is left once shells that were left to finish had their idle time-out."""
    began = time.monotonic()
    _wait_until(lambda: not any(lab.ask("left").values()), _LONGEST_IDLE)
    return lab.ask("left"), time.monotonic() - began


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """A thread that was joined is the kernel's for a moment more, a shell that
    was left to finish Windows's for three minutes."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
