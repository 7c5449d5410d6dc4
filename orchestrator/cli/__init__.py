"""The ``orchestrator`` command: its way in, which imports the rest by itself.

The imports take most of a second, in which somebody may well press Ctrl-C. So
this module imports next to nothing, and ends the process without a traceback
until a command runs that may have something to tidy up.
"""

import os
import signal

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""


def main() -> None:
    """Run the command that the arguments name."""
    before = signal.getsignal(signal.SIGINT)
    ours = before is signal.default_int_handler  # else ignored, as in a background job
    if ours:
        signal.signal(signal.SIGINT, _end_at_once)
    from orchestrator.cli.root import main as root

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        root()
    except KeyboardInterrupt:
        _end_at_once()
    finally:
        if ours:
            signal.signal(signal.SIGINT, _end_at_once)


def _end_at_once(*_: object) -> None:
    os._exit(INTERRUPTED)


__all__ = ["INTERRUPTED", "main"]
