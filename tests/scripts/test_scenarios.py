"""The lab's model of the scripts and the scripts themselves, scenario by scenario."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from scenario_worlds import Driver, LabWorld, StandInWorld, play
from scenarios import SCENARIOS, Scenario, Step
from windows_standin import PWSH

_SIDE_BY_SIDE = 4

Played = dict[int, "Future[list[dict[str, Any]]]"]


def name(scenario: Scenario) -> str:
    return f"{scenario.mode}: {scenario.name}"


def calls(scenario: Scenario) -> list[Step]:
    return [step for step in scenario.steps if isinstance(step, Step)]


def assert_as_expected(scenario: Scenario, found: list[dict[str, Any]]) -> None:
    for step, answer in zip(calls(scenario), found, strict=True):
        said = {key: answer[key] for key in step.expected}
        assert said == dict(step.expected), f"{step.script}: {answer}"


@pytest.fixture(scope="module")
def on_powershell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Every scenario on PowerShell, a few side by side because most of it is waiting."""
    if PWSH is None:
        pytest.skip("pwsh is not on the PATH")
    folder = tmp_path_factory.mktemp("servers")
    idle: queue.SimpleQueue[Driver] = queue.SimpleQueue()
    drivers = [Driver() for _ in range(_SIDE_BY_SIDE)]
    for driver in drivers:
        idle.put(driver)

    def run(number: int, scenario: Scenario) -> list[dict[str, Any]]:
        driver = idle.get()
        try:
            return play(StandInWorld(scenario, folder / str(number), driver), scenario)
        finally:
            idle.put(driver)

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        yield {n: pool.submit(run, n, scenario) for n, scenario in enumerate(SCENARIOS)}
        pool.shutdown(cancel_futures=True)
    for driver in drivers:
        driver.close()


def test_no_scenario_is_told_twice() -> None:
    assert len({name(scenario) for scenario in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name)
def test_the_lab_answers_as_expected(scenario: Scenario) -> None:
    assert_as_expected(scenario, play(LabWorld(scenario), scenario))


@pytest.mark.pwsh
@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=lambda n: name(SCENARIOS[n]))
def test_powershell_answers_as_the_lab_does(number: int, on_powershell: Played) -> None:
    scenario = SCENARIOS[number]
    found = on_powershell[number].result(timeout=300)
    assert_as_expected(scenario, found)
    assert found == play(LabWorld(scenario), scenario)
