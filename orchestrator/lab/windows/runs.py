"""Running commands: those that are over at once, and those that take time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from orchestrator.lab.machine import Output
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.things import Process

Body = Callable[["ThreadedRun", bytes], tuple[bytes, bytes, int]]
"""Gets stdin's bytes; returns stdout, stderr and the exit code."""


class Terminated(Exception):
    """The command was ended from outside."""


class FinishedRun:
    """A command whose output is known as soon as it starts."""

    def __init__(self, stdout: bytes, stderr: bytes, exit_code: int) -> None:
        self._output = Output(stdout, stderr, exit_code)

    def feed(self, data: bytes) -> None:
        """It reads no stdin."""

    def end_input(self) -> None:
        """It reads no stdin."""

    def read(self, timeout: float) -> Output | None:
        """All of it."""
        return self._output

    def terminate(self, exit_code: int) -> None:
        """It is over already."""


class ThreadedRun:
    """A command that reads its stdin to the end and then works in a thread of its own.

    ``process`` is what it is on the computer: ending the run ends it.
    """

    def __init__(self, computer: Computer, process: Process, body: Body) -> None:
        self.computer = computer
        self.process = process
        self._body = body
        self._input = bytearray()
        self._changed = threading.Condition()
        self._output: Output | None = None
        self._thread: threading.Thread | None = None
        self.terminated = False

    def feed(self, data: bytes) -> None:
        """More stdin."""
        with self._changed:
            self._input += data

    def end_input(self) -> None:
        """Stdin's end: the work begins."""
        with self._changed:
            if self._thread is None and not self.terminated:
                self._thread = threading.Thread(target=self._work, name="lab-script", daemon=True)
                self._thread.start()

    def read(self, timeout: float) -> Output | None:
        """What it wrote, once it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._output is not None, timeout)
            return self._output

    def terminate(self, exit_code: int) -> None:
        """End it, wherever it is; what it has done stays done."""
        with self._changed:
            self.terminated = True
            thread = self._thread
        self.computer.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self.computer.exit(self.process, exit_code)
        self._finish(Output(exit_code=exit_code))

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for something on the computer; Terminated where the run was ended."""
        found = self.computer.wait_until(lambda: self.terminated or condition(), seconds)
        if self.terminated:
            raise Terminated
        return found

    def _work(self) -> None:
        try:
            stdout, stderr, exit_code = self._body(self, bytes(self._input))
        except Terminated:
            return
        self.computer.exit(self.process, exit_code)
        self._finish(Output(stdout, stderr, exit_code))

    def _finish(self, output: Output) -> None:
        with self._changed:
            if self._output is None:
                self._output = output
            self._changed.notify_all()
