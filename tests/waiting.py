"""Waiting for what happens in other threads, with a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def waits_until(condition: Callable[[], object], seconds: float) -> bool:
    """Whether a condition came true in time; looked at a hundred times a second."""
    pause = threading.Event()
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.01)
    return True
