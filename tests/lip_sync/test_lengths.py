"""Which picture is shown when, for films and speech of any length."""

from fractions import Fraction
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.lip_sync.lengths import LengthPolicy, still_timeline, timeline
from core.media import Shown, Timeline

Film = tuple[list[Fraction], Fraction]
EVEN: Film = ([Fraction(n, 25) for n in range(10)], Fraction(10, 25))
POLICIES: tuple[LengthPolicy, ...] = get_args(LengthPolicy)
SPEECH = st.fractions(0, 9, max_denominator=1000)


@st.composite
def films(draw: st.DrawFn) -> Film:
    """Up to a dozen pictures, even or uneven, in ticks of 1/600 s."""
    steps = draw(st.lists(st.integers(5, 200), min_size=1, max_size=12))
    if draw(st.booleans()):
        steps = [steps[0]] * len(steps)
    edges = [Fraction(sum(steps[:n]), 600) for n in range(len(steps) + 1)]
    return edges[:-1], edges[-1]


def sources(shown: Timeline) -> list[int]:
    return [picture.source for picture in shown.shown]


def lasting(shown: Timeline) -> list[Fraction]:
    times = [picture.time_s for picture in shown.shown]
    return [after - before for before, after in pairwise([*times, shown.end_s])]


@given(film=films(), speech_s=SPEECH, policy=st.sampled_from(POLICIES))
def test_pictures_follow_one_another_without_a_gap_from_zero(
    film: Film, speech_s: Fraction, policy: LengthPolicy
) -> None:
    shown = timeline(*film, speech_s, policy)
    assert shown.shown[0] == Shown(0, Fraction(0))
    assert all(step > 0 for step in lasting(shown))
    assert set(sources(shown)) <= set(range(len(film[0])))


@given(film=films(), speech_s=SPEECH, policy=st.sampled_from(("loop", "ping_pong", "hold")))
def test_the_film_is_shown_whole_and_goes_on_just_until_the_speech_has_ended(
    film: Film, speech_s: Fraction, policy: LengthPolicy
) -> None:
    times, end_s = film
    shown = timeline(times, end_s, speech_s, policy)
    assert [(n, time_s) for n, time_s in enumerate(times)] == list(shown.shown[: len(times)])
    assert shown.end_s >= max(end_s, speech_s)
    assert shown.shown[-1].time_s < max(end_s, speech_s)


@given(film=films(), speech_s=SPEECH)
def test_trimmed_both_end_with_the_shorter_of_the_two(film: Film, speech_s: Fraction) -> None:
    times, end_s = film
    shown = timeline(times, end_s, speech_s, "trim")
    assert sources(shown) == list(range(len(shown.shown)))
    assert shown.end_s >= min(speech_s, end_s)
    assert shown.shown[-1].time_s < min(speech_s, end_s) or len(shown.shown) == 1


@given(film=films(), speech_s=SPEECH, policy=st.sampled_from(("loop", "ping_pong")))
def test_every_picture_is_shown_as_long_as_in_the_film_itself(
    film: Film, speech_s: Fraction, policy: LengthPolicy
) -> None:
    times, end_s = film
    own = [after - before for before, after in pairwise([*times, end_s])]
    shown = timeline(times, end_s, speech_s, policy)
    assert lasting(shown) == [own[source] for source in sources(shown)]


@given(film=films(), speech_s=SPEECH)
def test_there_and_back_goes_to_a_neighbour_each_time_and_shows_neither_end_twice(
    film: Film, speech_s: Fraction
) -> None:
    shown = sources(timeline(*film, speech_s, "ping_pong"))
    last = len(film[0]) - 1
    assert all(abs(after - before) == 1 for before, after in pairwise(shown)) or last == 0
    for before, here, after in zip(shown, shown[1:], shown[2:], strict=False):
        assert (before == after) == (here in (0, last)) or last <= 1


@given(film=films(), speech_s=SPEECH)
def test_a_loop_begins_again_behind_the_last_picture(film: Film, speech_s: Fraction) -> None:
    shown = sources(timeline(*film, speech_s, "loop"))
    assert shown == [n % len(film[0]) for n in range(len(shown))]


@given(film=films(), speech_s=SPEECH)
def test_held_the_last_picture_comes_anew_at_the_mean_distance_of_the_film(film: Film, speech_s: Fraction) -> None:
    times, end_s = film
    shown = timeline(times, end_s, speech_s, "hold")
    held = len(times)
    assert set(sources(shown)[held:]) <= {held - 1}
    assert set(lasting(shown)[held:]) <= {end_s / held}


def test_the_orders_of_a_short_film() -> None:
    times, end_s = [Fraction(0), Fraction(1), Fraction(2)], Fraction(3)
    orders = {policy: sources(timeline(times, end_s, Fraction(8), policy)) for policy in POLICIES}
    assert orders == {
        "loop": [0, 1, 2, 0, 1, 2, 0, 1],
        "ping_pong": [0, 1, 2, 1, 0, 1, 2, 1],
        "hold": [0, 1, 2, 2, 2, 2, 2, 2],
        "trim": [0, 1, 2],
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_no_speech_leaves_the_film_as_it_is_or_one_picture_of_it(policy: LengthPolicy) -> None:
    shown = timeline(*EVEN, Fraction(0), policy)
    assert sources(shown) == ([0] if policy == "trim" else list(range(10)))


@pytest.mark.parametrize(("speech_s", "count"), [("0", 1), ("0.04", 1), ("0.041", 2), ("3", 75)])
def test_a_still_picture_is_shown_25_times_a_second_until_the_speech_has_ended(speech_s: str, count: int) -> None:
    shown = still_timeline(Fraction(speech_s))
    assert sources(shown) == [0] * count
    assert shown.end_s == Fraction(count, 25) and set(lasting(shown)) == {Fraction(1, 25)}


def test_what_makes_no_sense_is_refused() -> None:
    times, end_s = EVEN
    with pytest.raises(ParameterError, match="no pictures"):
        timeline([], end_s, Fraction(1))
    with pytest.raises(ParameterError, match="ascending"):
        timeline(times, times[-1], Fraction(1))
    with pytest.raises(ParameterError, match="zero or more"):
        timeline(times, end_s, Fraction(-1))
    with pytest.raises(ParameterError, match="choose one of loop, ping_pong, hold, trim"):
        timeline(times, end_s, Fraction(1), "backwards")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="frame rate"):
        still_timeline(Fraction(1), Fraction(0))
