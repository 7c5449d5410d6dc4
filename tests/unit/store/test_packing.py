"""What is packed comes back, as exactly as its scale promises."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.history import MEASURES, Measure, Reading, Resolution, minutes, rollup
from orchestrator.store import packing
from tests.fakes import START

HOUR = Resolution.HOUR.floor(START)
SEEDS = st.integers(0, 2**32)


def row(chance: random.Random) -> tuple[float | None, ...]:
    """Values of every size, and places without one."""
    found = {
        "share": lambda: chance.choice([0.0, 1.0, chance.random()]),
        "MiB": lambda: float(chance.randrange(100_000)),
        "bytes/s": lambda: chance.choice([0.0, 10 ** chance.uniform(0, 11)]),
        "sessions": lambda: float(chance.randrange(1000)),
        "seconds": lambda: chance.uniform(0, 120),
    }
    return tuple(found[m.unit]() if chance.random() < 0.8 else None for m in MEASURES)


def readings_of(seed: int) -> list[Reading]:
    """An hour with up to 60 polls at any time."""
    chance = random.Random(seed)
    times = sorted(chance.uniform(0, 3599.9) for _ in range(chance.randrange(1, 60)))
    return [Reading(HOUR + timedelta(seconds=t), row(chance)) for t in times]


def close(measure: Measure, value: float, found: float) -> bool:
    if measure in {Measure.RECEIVED, Measure.SENT}:
        return abs(found - value) <= 1 + 0.011 * value
    step = {"share": 0.0005, "MiB": 4, "sessions": 0.05, "seconds": 0.005}[measure.unit]
    return abs(found - value) <= step + 0.0006


def same(given_: tuple[float | None, ...], found: tuple[float | None, ...]) -> bool:
    return all(
        (a is None) == (b is None) and (a is None or b is None or close(measure, a, b))
        for measure, a, b in zip(MEASURES, given_, found, strict=True)
    )


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_an_hour_of_polls_comes_back(seed: int) -> None:
    readings = readings_of(seed)
    found = packing.unpack_readings(packing.pack_readings(readings, HOUR), HOUR)
    assert len(found) == len(readings)
    for before, after in zip(readings, found, strict=True):
        assert abs(before.at - after.at) <= timedelta(milliseconds=51)
        assert same(before.values, after.values)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_one_measure_alone_is_that_of_the_whole(seed: int) -> None:
    readings = readings_of(seed)
    packed = packing.pack_readings(readings, HOUR)
    whole = packing.unpack_readings(packed, HOUR)
    for place, measure in enumerate(MEASURES):
        wanted = [(each.at, each.values[place]) for each in whole]
        assert packing.unpack_values(packed, HOUR, measure) == [
            (at, value) for at, value in wanted if value is not None
        ]
        one = packing.pack_reading(readings[0].values)
        assert packing.unpack_value(one, measure) == packing.unpack_reading(one)[place]


@given(SEEDS)
@settings(deadline=None)
def test_one_poll_comes_back(seed: int) -> None:
    values = row(random.Random(seed))
    assert same(values, packing.unpack_reading(packing.pack_reading(values)))


def test_a_poll_of_an_older_version_lacks_the_newer_measures() -> None:
    packed = packing.pack_reading(tuple(1.0 for _ in MEASURES))
    found = packing.unpack_reading(packed[:8])
    assert found == (1.0, 1.0, *[None] * (len(MEASURES) - 2))
    assert packing.unpack_value(packed[:8], Measure.MEMORY) == 1.0
    assert packing.unpack_value(packed[:8], Measure.POLL) is None


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_minutes_come_back_for_each_measure(seed: int) -> None:
    exact = minutes(readings_of(seed))
    packed = packing.pack_minutes(exact, HOUR)
    for measure in MEASURES:
        found = dict(packing.unpack_minutes(packed, HOUR, measure))
        wanted = {at: stats[measure] for at, stats in exact.items() if measure in stats}
        assert found.keys() == wanted.keys()
        for at, stats in found.items():
            assert stats.count == wanted[at].count
            for name in ("minimum", "mean", "maximum", "p95"):
                assert close(measure, getattr(wanted[at], name), getattr(stats, name))


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_rollups_come_back(seed: int) -> None:
    exact = rollup(readings_of(seed))
    assert packing.unpack_sketches(packing.pack_sketches(exact)) == exact
    packed = packing.pack_stats(exact)
    for measure in MEASURES:
        found = packing.unpack_stats(packed, measure)
        if measure not in exact:
            assert found is None
        else:
            assert found is not None
            assert found.count == exact[measure].count
            assert found.p95 == pytest.approx(exact[measure].stats().p95, rel=1e-6)


def test_some_measures_can_be_unpacked_alone() -> None:
    exact = rollup([Reading(HOUR, tuple(0.5 for _ in MEASURES))])
    packed = packing.pack_sketches(exact)
    only = frozenset({Measure.GPU})
    assert packing.unpack_sketches(packed, only) == {Measure.GPU: exact[Measure.GPU]}


def test_a_format_of_the_future_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        packing.unpack_readings(b"\x09" + b"\0" * 20, HOUR)


def test_a_steady_hour_is_small() -> None:
    values = tuple(0.5 for _ in MEASURES)
    readings = [Reading(HOUR + timedelta(seconds=10 * n), values) for n in range(360)]
    assert len(packing.pack_readings(readings, HOUR)) < 200
