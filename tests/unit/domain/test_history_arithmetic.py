"""Statistics, sketches and their merging, against the plain arithmetic."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.history import (
    ACCURACY,
    MEASURES,
    Measure,
    Reading,
    Resolution,
    exact_stats,
    merged,
    merged_rollups,
    minutes,
    quantile,
    reading_of,
    rollup,
    sketch,
)
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load
from tests.fakes import START

VALUES = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-6, 1e12, allow_nan=False)), min_size=1, max_size=200
)
SHARES = st.floats(0.01, 1.0)


@given(VALUES, SHARES)
@settings(deadline=None)
def test_a_sketch_knows_every_quantile_within_its_accuracy(
    values: list[float], share: float
) -> None:
    exact = quantile(sorted(values), share)
    found = sketch(values).quantile(share)
    assert abs(found - exact) <= ACCURACY * exact * (1 + 1e-6)


@given(st.lists(VALUES, min_size=1, max_size=6))
@settings(deadline=None)
def test_merged_sketches_are_the_sketch_of_all_values(parts: list[list[float]]) -> None:
    whole = sketch([value for part in parts for value in part])
    found = merged([sketch(part) for part in parts])
    assert (found.count, found.minimum, found.maximum) == (
        whole.count,
        whole.minimum,
        whole.maximum,
    )
    assert dict(found.bins) == dict(whole.bins)
    assert math.isclose(found.total, whole.total, rel_tol=1e-9)


@given(VALUES)
@settings(deadline=None)
def test_statistics_lie_in_their_order(values: list[float]) -> None:
    for stats in (exact_stats(values), sketch(values).stats()):
        assert stats.count == len(values)
        assert stats.minimum <= stats.mean <= stats.maximum
        assert stats.minimum <= stats.p95 <= stats.maximum


def test_a_quantile_is_the_nearest_rank() -> None:
    ordered = [float(n) for n in range(1, 21)]
    assert [quantile(ordered, share) for share in (0.05, 0.5, 0.95, 0.951, 1.0)] == [
        1,
        10,
        19,
        20,
        20,
    ]
    assert quantile([7.0], 0.01) == 7.0


def test_an_answered_poll_is_read_with_all_that_was_measured() -> None:
    load = Load(
        START,
        cpu=0.4,
        memory_total_mb=1000,
        memory_free_mb=250,
        gpu=0.8,
        gpu_engines={"3D": 0.8, "VideoEncode": 0.3},
        disk_total_mb=100,
        disk_free_mb=40,
    )
    found = reading_of(Sample("a", START, 0.2, Health.UP, "", START, load, sessions=2))
    named = dict(zip(MEASURES, found.values, strict=True))
    assert named == {
        Measure.CPU: 0.4,
        Measure.MEMORY: 0.75,
        Measure.GPU: 0.8,
        Measure.ENCODER: 0.3,
        Measure.GPU_MEMORY: None,
        Measure.DISK: 0.6,
        Measure.RECEIVED: None,
        Measure.SENT: None,
        Measure.SESSIONS: 2,
        Measure.POLL: 0.2,
    }


def test_an_unanswered_poll_measures_no_load() -> None:
    sample = Sample("a", START, 9.0, Health.UNREACHABLE, "silent", START, None, "x")
    assert set(rollup([reading_of(sample)])) == {Measure.SESSIONS, Measure.POLL}


def test_minutes_hold_the_polls_of_their_minute() -> None:
    values = (0.5, *[None] * (len(MEASURES) - 1))
    readings = [Reading(START + timedelta(seconds=10 * n), values) for n in range(7)]
    found = minutes(readings)
    assert [(at, stats[Measure.CPU].count) for at, stats in found.items()] == [
        (START, 6),
        (START + timedelta(minutes=1), 1),
    ]


@pytest.mark.parametrize("hour", range(24))
def test_a_day_of_merged_hours_counts_them_all(hour: int) -> None:
    values = tuple(0.25 for _ in MEASURES)
    hours = [rollup([Reading(START, values)] * (n + 1)) for n in range(hour + 1)]
    day = merged_rollups(hours)
    assert {s.count for s in day.values()} == {(hour + 1) * (hour + 2) // 2}


def test_points_begin_at_full_minutes_hours_and_days_in_utc() -> None:
    at = START.replace(hour=17, minute=43, second=21, microsecond=5)
    assert Resolution.RAW.floor(at) == at
    assert Resolution.MINUTE.floor(at) == at.replace(second=0, microsecond=0)
    assert Resolution.HOUR.floor(at) == at.replace(minute=0, second=0, microsecond=0)
    assert Resolution.DAY.floor(at) == at.replace(hour=0, minute=0, second=0, microsecond=0)
