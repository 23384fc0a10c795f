"""Where an excerpt lies in a film, on synthetic films whose every moment is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.video_search.alignment import STEP_S, FrameTrack, offset_s

FILM_S = 60
HALF_A_FRAME_S = 0.5
"""Frames a second apart on both sides cannot tell more: halfway between two, the one before and the one after tie."""


def moments(times_s: NDArray[np.float64], seed: int = 0) -> NDArray[np.float32]:
    """What a synthetic film shows at each time: unit vectors that turn to a new direction every two seconds."""
    directions = np.random.default_rng(seed).normal(size=(FILM_S, 32))
    places = np.clip(times_s / 2 + 20, 0, FILM_S - 1.001)
    left, share = places.astype(int), places[:, None] % 1
    rows = directions[left] * (1 - share) + directions[left + 1] * share
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def track(start_s: float, duration_s: float, step_s: float = 1.0, noise: float = 0.0) -> FrameTrack:
    """Frames of the synthetic film from ``start_s`` on."""
    vectors = moments(start_s + np.arange(0, duration_s, step_s))
    vectors = vectors + noise * np.random.default_rng(1).normal(size=vectors.shape) / np.sqrt(32)
    return FrameTrack((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), step_s)


@pytest.mark.parametrize("step_s", [1.0, 0.5, 0.7, 1.75])
@pytest.mark.parametrize("start_s", [0, 7, 12.25, 23.5, 30])
def test_an_excerpt_is_found_where_it_was_cut_out(start_s: float, step_s: float) -> None:
    assert offset_s(track(start_s, 10, step_s), track(0, 40)) == pytest.approx(start_s, abs=HALF_A_FRAME_S)


def test_frames_at_other_distances_than_the_films_tell_the_place_more_exactly() -> None:
    for start_s in (5.25, 12.75, 23.5):
        assert offset_s(track(start_s, 10, 0.7), track(0, 40)) == pytest.approx(start_s, abs=STEP_S)


@pytest.mark.parametrize("step_s", [0.4, 1.5])
def test_the_frames_of_the_film_may_lie_at_any_distance(step_s: float) -> None:
    assert offset_s(track(11.5, 12), track(0, 38, step_s)) == pytest.approx(11.5, abs=STEP_S)


def test_a_changed_copy_is_found_where_it_was_cut_out() -> None:
    assert offset_s(track(16, 12, 0.5, noise=1.0), track(0, 40)) == pytest.approx(16, abs=STEP_S)


def test_an_excerpt_that_is_longer_than_the_film_begins_before_it() -> None:
    assert offset_s(track(0, 40), track(9, 12)) == pytest.approx(-9, abs=STEP_S)
    assert offset_s(track(-5, 20), track(0, 30)) == pytest.approx(-5, abs=STEP_S)


def test_an_excerpt_may_go_on_after_the_end_of_the_film() -> None:
    assert offset_s(track(24, 14), track(0, 33)) == pytest.approx(24, abs=STEP_S)


def test_the_places_of_two_films_in_each_other_are_opposite() -> None:
    long, short = track(0, 40), track(13, 14, 0.5)
    inside, around = offset_s(short, long), offset_s(long, short)
    assert inside is not None and around is not None
    assert inside == pytest.approx(-around, abs=STEP_S)


def test_a_film_in_which_nothing_moves_has_no_place_that_stands_out() -> None:
    noise = np.random.default_rng(2).normal(size=(40, 32)) * 0.02
    vectors = moments(np.zeros(40)) + noise
    still = FrameTrack((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), 1.0)
    assert offset_s(FrameTrack(still.vectors[5:15], 1.0), still) is None


def test_a_single_frame_is_found_where_it_is_shown() -> None:
    assert offset_s(track(17, 1), track(0, 40)) == pytest.approx(17, abs=STEP_S)
    assert offset_s(track(17, 1), track(17, 1)) == 0
