"""``orchestrator serve``: the broker, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
import structlog

from orchestrator.bootstrap import BrokerServer
from orchestrator.cli.options import open_broker, settings_options
from orchestrator.config import SETTINGS

log = structlog.get_logger(__name__)


@click.command()
@settings_options(*SETTINGS)
def serve(**options: Any) -> None:
    """Serve the REST API, poll the servers and settle sessions.

    Ctrl-C or SIGTERM stops cleanly: requests under way are finished, sessions
    go on running on their servers.
    """
    allow_many_connections()
    with (
        stop_signals() as stopped,
        open_broker(options, calls_servers=True, creates=True, owns_fleet=True) as broker,
    ):
        server = BrokerServer(broker)
        try:
            server.start(lambda step: log.info(step))
            entries = broker.inventory.entries if broker.inventory else ()
            log.info("serving", host=options["host"], port=server.port, servers=len(entries))
            stopped.wait()
            log.info("stopping", calls_under_way=len(broker.in_flight))
        finally:
            server.stop()
    log.info("stopped")


def allow_many_connections() -> None:
    """Take all the descriptors that the system lets a process have: a fleet's
    kept connections are more than the thousand it gives unasked."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process at once."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does, so that what was begun is tidied up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
