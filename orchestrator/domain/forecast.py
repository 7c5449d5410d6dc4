"""When something that grows reaches its limit.

The trend of daily peaks is the median of the slopes between all pairs of days
(Theil and Sen), which a few odd days cannot bend. It is believed only where the
test of Mann and Kendall finds growth with 95 % confidence. Peaks that lie at the
limit cannot grow: where most of the last days' do, the limit is reached.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import combinations
from statistics import median

LEAST_DAYS = 7
LONGEST_DAYS = 730
_ONE_SIDED_95 = 1.645


class Outlook(StrEnum):
    """What can be said of the future."""

    CANNOT_TELL = "cannot_tell"
    NO_GROWTH = "no_growth"
    FAR = "far"
    RUNS_OUT = "runs_out"
    FULL = "full"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Forecast:
    """``days`` is how many days were looked at, ``per_day`` the growth, ``on`` when
    the limit is reached; both None where nothing can be said."""

    outlook: Outlook
    days: int
    per_day: float | None = None
    on: date | None = None


def forecast(peaks: Sequence[tuple[date, float]], limit: float) -> Forecast:
    """From the peaks of days, in order; days may be missing."""
    count = len(peaks)
    if count < LEAST_DAYS or limit <= 0:
        return Forecast(Outlook.CANNOT_TELL, count)
    first = peaks[0][0]
    points = [((day - first).days, value) for day, value in peaks]
    slope = median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2))
    level = median(value - slope * x for x, value in points)
    if not _grows([value for _, value in points]) or slope <= 0:
        usual = median(value for _, value in points[-LEAST_DAYS:])
        return Forecast(Outlook.NO_GROWTH if usual < limit else Outlook.TAKEN, count, slope)
    left = (limit - level) / slope - points[-1][0]
    if left <= 0:
        return Forecast(Outlook.FULL, count, slope, peaks[-1][0])
    if left > LONGEST_DAYS:
        return Forecast(Outlook.FAR, count, slope)
    return Forecast(Outlook.RUNS_OUT, count, slope, peaks[-1][0] + timedelta(days=math.ceil(left)))


def _grows(values: Sequence[float]) -> bool:
    rises = sum((b > a) - (b < a) for a, b in combinations(values, 2))
    n = len(values)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    return variance > 0 and (rises - 1) / math.sqrt(variance) >= _ONE_SIDED_95
