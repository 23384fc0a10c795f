"""Exact time: timestamps to seconds and back, times of a given rate, and frame rates as people mean them.

Seconds are `fractions.Fraction` throughout. The rule for "the picture at time t" is *at or before*: a picture is on
screen from its own time until the next one's, so t shows the last picture whose time is not after t.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from core.errors import ParameterError

Seconds = Fraction | int | float
_NTSC_MULTIPLES = (15, 24, 30, 48, 60, 120, 240)
_SNAP = Fraction(1, 5000)


@dataclass(frozen=True)
class Clock:
    """The clock of one stream: ``time_base`` seconds a tick, and the tick that is called time zero.

    >>> Clock(Fraction(1, 90000), 126000).time_s(129600)
    Fraction(1, 25)
    """

    time_base: Fraction
    zero_pts: int = 0

    def time_s(self, pts: int) -> Fraction:
        """The exact time of a tick, in seconds."""
        return (pts - self.zero_pts) * self.time_base

    def pts_at(self, time_s: Seconds) -> int:
        """The last tick whose time is at or before ``time_s``."""
        return self.zero_pts + floor(Fraction(time_s) / self.time_base)

    def pts_from(self, time_s: Seconds) -> int:
        """The first tick whose time is at or after ``time_s``."""
        return self.zero_pts + ceil(Fraction(time_s) / self.time_base)


def sample_times(start_s: Seconds, end_s: Seconds | None, rate: Seconds) -> Iterator[Fraction]:
    """Times ``start_s + k / rate`` for k = 0, 1, … below ``end_s`` (for ever when that is None), without drift.

    >>> list(sample_times(0, 1, 3))
    [Fraction(0, 1), Fraction(1, 3), Fraction(2, 3)]

    Raises:
        ParameterError: the rate is not positive.
    """
    if not rate > 0:
        raise ParameterError(f"The rate is {rate}; give a number of pictures a second above zero.")
    start, step = Fraction(start_s), 1 / Fraction(rate)
    times = (start + k * step for k in itertools.count())
    return times if end_s is None else itertools.takewhile(lambda time: time < Fraction(end_s), times)


def plausible_frame_rate(rate: Seconds) -> Fraction:
    """The frame rate that is meant by a rounded or measured one: whole, or 1000/1001 of 15, 24, 30, 48, 60, 120, 240.

    A rate within 0.02 % of one of these becomes it; any other is kept (denominators above 100,000 are reduced).

    >>> plausible_frame_rate(29.97), plausible_frame_rate(Fraction(25001, 1000))
    (Fraction(30000, 1001), Fraction(25, 1))

    Raises:
        ParameterError: the rate is not positive.
    """
    exact = Fraction(rate)
    if exact <= 0:
        raise ParameterError(f"The frame rate is {rate}; give a number above zero.")
    whole = Fraction(max(1, round(exact)))
    candidates = [whole, *(Fraction(1000 * n, 1001) for n in _NTSC_MULTIPLES)]
    nearest = min(candidates, key=lambda candidate: abs(candidate - exact))
    return nearest if abs(nearest - exact) <= _SNAP * exact else exact.limit_denominator(100_000)
