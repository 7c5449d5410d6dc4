"""CPU use as a poll tells it without a question of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.domain.errors import QueryRejected
from orchestrator.domain.server import Load
from orchestrator.lab import LabServer, build_computer
from orchestrator.lab.windows import Computer, ManualClock, WindowsMachine
from orchestrator.transport.probe import Prober
from orchestrator.transport.questions import CPU, Question
from orchestrator.transport.wql import Row
from tests.contract.test_gateway_on_lab import PASSWORD, USER, connection_to, gateway_to


class Watch:
    """A server whose time, and the broker's, passes only when it is told to."""

    def __init__(self, server: LabServer, computer: Computer, clock: ManualClock) -> None:
        self.asked: list[str] = []
        self.refused_column = ""
        self.computer = computer
        self.clock = clock
        self._began = clock.now()
        self._gateway = gateway_to(connection_to(server))
        self._prober = Prober(self._seconds)

    def cpu_after(self, seconds: float) -> float | None:
        """CPU use as one more look tells it."""
        load = self.look_after(seconds)
        assert load.desktop
        return load.cpu

    def look_after(self, seconds: float) -> Load:
        """One more look."""
        self.clock.advance(seconds)
        self.asked.clear()
        return self._prober.observe(self._ask, self.clock.now(), (), ()).load

    def prove(self) -> None:
        """Look until the counters have vouched for the idle process."""
        for _ in range(4):
            assert self.cpu_after(10) == pytest.approx(0.02, abs=0.015)
            assert CPU.class_name in self.asked

    def play(self, cpu: float) -> None:
        """Start a game that takes that share of the CPU."""
        options = {"parent_pid": 4, "session_id": 1, "owner": "player"}
        self.computer.spawn("game.exe", "game.exe", **options).cpu = cpu

    def close(self) -> None:
        self._gateway.close()

    def _seconds(self) -> float:
        return (self.clock.now() - self._began).total_seconds()

    def _ask(self, question: Question) -> list[Row]:
        self.asked.append(question.class_name)
        if self.refused_column and self.refused_column in question.wql:
            raise QueryRejected(f"The property {self.refused_column} does not exist.", server="a")
        return self._gateway.query("a", question.wql, question.namespace)


@pytest.fixture
def watch() -> Iterator[Watch]:
    clock = ManualClock()
    computer = build_computer("GAME-01", clock=clock)
    with LabServer(WindowsMachine(computer), {USER: PASSWORD}) as server:
        found = Watch(server, computer, clock)
        yield found
        found.close()


def test_the_idle_process_tells_the_mean_use_since_the_last_look(watch: Watch) -> None:
    watch.prove()
    assert watch.cpu_after(10) == pytest.approx(0.02, abs=0.001)
    assert CPU.class_name not in watch.asked
    assert len(watch.asked) == 3

    watch.clock.advance(5)
    watch.play(0.6)
    assert watch.cpu_after(5) == pytest.approx(0.02 + 0.6 / 2, abs=0.001)
    assert CPU.class_name not in watch.asked


def test_a_busy_server_is_asked_for_its_counters_too(watch: Watch) -> None:
    watch.play(1.0)
    for _ in range(3):
        assert watch.cpu_after(10) == 1.0
        assert CPU.class_name in watch.asked


def test_without_a_count_of_processors_the_counters_are_asked(watch: Watch) -> None:
    watch.computer.missing_classes = {"Win32_Processor"}
    for _ in range(3):
        assert watch.cpu_after(10) == pytest.approx(0.02, abs=0.015)
        assert CPU.class_name in watch.asked


def test_without_counters_nobody_vouches_for_the_idle_process(watch: Watch) -> None:
    watch.computer.missing_classes = {CPU.class_name}
    assert [watch.cpu_after(10) for _ in range(6)] == [None] * 6


def test_once_proved_it_does_without_the_counters(watch: Watch) -> None:
    watch.prove()
    watch.computer.missing_classes = {CPU.class_name}
    for _ in range(40):
        assert watch.cpu_after(10) == pytest.approx(0.02, abs=0.001)


def test_one_refusal_is_a_hiccup_and_not_a_missing_class(watch: Watch) -> None:
    for name in ("Win32_Process", "Win32_OperatingSystem", CPU.class_name):
        watch.computer.missing_classes = {name}
        watch.look_after(10)
        watch.computer.missing_classes = set()
        load = watch.look_after(10)
        assert load.memory is not None
        assert load.locked is False
        assert load.cpu == pytest.approx(0.02, abs=0.015)


@pytest.mark.parametrize("name", ["Win32_Process", "Win32_OperatingSystem"])
def test_what_no_truth_can_do_without_is_asked_again_soon(watch: Watch, name: str) -> None:
    watch.computer.missing_classes = {name}
    for _ in range(20):
        watch.look_after(10)
    watch.computer.missing_classes = set()
    load = [watch.look_after(10) for _ in range(2)][-1]
    assert load.memory is not None
    assert load.locked is False


def test_a_server_that_was_started_anew_may_have_other_processors(watch: Watch) -> None:
    watch.prove()
    watch.computer.cpus *= 2
    watch.computer.booted_at = watch.clock.now()
    for _ in range(6):
        assert watch.cpu_after(10) == pytest.approx(0.02, abs=0.015)
    assert CPU.class_name not in watch.asked


def test_a_server_that_refuses_the_idle_time_is_asked_without_and_not_at_each_poll(
    watch: Watch,
) -> None:
    watch.refused_column = "KernelModeTime"
    processes = [_looks_for_processes(watch) for _ in range(3)]
    assert processes == [2, 1, 1]


def _looks_for_processes(watch: Watch) -> int:
    assert watch.cpu_after(10) == pytest.approx(0.02, abs=0.015)
    return watch.asked.count("Win32_Process")
