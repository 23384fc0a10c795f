"""Exact time: invariants of the clock, of sampling, and of frame rates."""

from fractions import Fraction
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.media.timebase import Clock, plausible_frame_rate, sample_times

TIME_BASES = st.builds(Fraction, st.integers(1, 1001), st.integers(1, 90000))
TICKS = st.integers(-(2**40), 2**40)
RATES = st.builds(Fraction, st.integers(1, 120_000), st.integers(1, 1001))


@given(TIME_BASES, TICKS, TICKS)
def test_a_tick_keeps_its_value_through_seconds_and_back(time_base: Fraction, zero: int, tick: int) -> None:
    clock = Clock(time_base, zero)
    assert clock.pts_at(clock.time_s(tick)) == tick


@given(TIME_BASES, TICKS, st.fractions(min_value=-(10**6), max_value=10**6))
def test_the_tick_at_a_time_is_the_last_at_or_before_it(time_base: Fraction, zero: int, time_s: Fraction) -> None:
    clock = Clock(time_base, zero)
    tick = clock.pts_at(time_s)
    assert clock.time_s(tick) <= time_s < clock.time_s(tick + 1)


@given(st.fractions(0, 1000), RATES, st.integers(0, 200))
def test_sampling_hits_every_multiple_before_the_end_and_no_more(start: Fraction, rate: Fraction, count: int) -> None:
    times = list(sample_times(start, start + count / rate, rate))
    assert times == [start + k / rate for k in range(count)]


@given(RATES)
def test_sampling_does_not_drift_in_an_hour(rate: Fraction) -> None:
    last = next(islice(sample_times(0, None, rate), 1000, None))
    assert last == 1000 / rate


@given(st.sampled_from([24, 25, 30, 48, 50, 60, 120]), st.booleans(), st.integers(2, 5))
def test_a_rounded_frame_rate_is_recognised(whole: int, ntsc: bool, digits: int) -> None:
    meant = Fraction(1000 * whole, 1001) if ntsc and whole not in (25, 50) else Fraction(whole)
    assert plausible_frame_rate(round(float(meant), digits)) == meant


@given(RATES)
def test_a_frame_rate_moves_by_at_most_two_hundredths_of_a_percent(rate: Fraction) -> None:
    assert abs(plausible_frame_rate(rate) / rate - 1) <= Fraction(1, 5000)


@given(RATES)
def test_snapping_twice_is_snapping_once(rate: Fraction) -> None:
    assert plausible_frame_rate(plausible_frame_rate(rate)) == plausible_frame_rate(rate)


def test_standard_frame_rates_keep_their_distance() -> None:
    standard = [Fraction(n) for n in (24, 25, 30, 50, 60)] + [Fraction(1000 * n, 1001) for n in (24, 30, 60)]
    assert [plausible_frame_rate(rate) for rate in standard] == standard
    assert all(before != after for before, after in pairwise(sorted(standard)))


@pytest.mark.parametrize("rate", [0, -1, Fraction(-25)])
def test_a_rate_that_is_not_positive_is_refused(rate: Fraction) -> None:
    with pytest.raises(ParameterError):
        next(sample_times(0, 1, rate))
    with pytest.raises(ParameterError):
        plausible_frame_rate(rate)
