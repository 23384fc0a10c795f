"""What is cut from the ends of the films of a collection before training, and what is not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.video_search.advertising import FilmFrames, content_spans

Vectors = NDArray[np.float32]
LENGTH = 40


def shots(frames: int, seed: int) -> Vectors:
    """Frames unlike each other and unlike those of every other seed: unit vectors (frames, 64)."""
    rows = np.random.default_rng(seed).normal(size=(frames, 64))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def seen_again(frames: Vectors, seed: int) -> Vectors:
    """The same frames as another film's compression leaves them: a cosine of 0.995 with those of a third film."""
    return frames + np.float32(0.07) * shots(len(frames), seed)


def film(seed: int, head: Vectors | None = None, tail: Vectors | None = None, frames: int = LENGTH) -> FilmFrames:
    """A film of its own content; head and tail, where given, are other films', too."""
    vectors = shots(frames, seed)
    if head is not None:
        vectors[: len(head)] = seen_again(head, seed + 1000)
    if tail is not None:
        vectors[-len(tail) :] = seen_again(tail, seed + 2000)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return FilmFrames(vectors, np.full(frames, 50, np.float32))


def blank(film: FilmFrames, *frames: int) -> FilmFrames:
    spread = film.spread.copy()
    spread[list(frames)] = 1.0
    return FilmFrames(film.vectors, spread)


def test_a_head_that_three_films_share_is_cut_from_each() -> None:
    films = [film(seed, head=shots(6, 99)) for seed in range(3)]
    assert content_spans([*films, film(7)]) == [(6, LENGTH)] * 3 + [(0, LENGTH)]


def test_a_tail_that_three_films_share_is_cut_from_each() -> None:
    films = [film(seed, tail=shots(4, 99)) for seed in range(3)]
    assert content_spans([film(7), *films]) == [(0, LENGTH)] + [(0, LENGTH - 4)] * 3


def test_what_only_two_films_share_stays() -> None:
    films = [film(seed, head=shots(6, 99), tail=shots(3, 98)) for seed in range(2)]
    assert content_spans([*films, film(7), film(8)]) == [(0, LENGTH)] * 4


def test_an_ident_is_found_in_any_place_near_the_beginning_but_cut_only_from_the_very_beginning() -> None:
    ident = shots(5, 99)
    late = film(3)
    late.vectors[10:15] = ident
    assert content_spans([film(1, head=ident), film(2, head=ident), late]) == [(5, LENGTH), (5, LENGTH), (0, LENGTH)]


def test_a_beginning_that_other_films_show_in_their_middle_stays() -> None:
    scene = shots(6, 99)
    films = [film(0, head=scene, frames=80), *(film(seed, frames=80) for seed in (1, 2, 3))]
    for other in films[1:]:
        other.vectors[30:36] = scene
    assert content_spans(films) == [(0, 80)] * 4


def test_blank_frames_at_both_ends_are_cut_and_those_within_stay() -> None:
    assert content_spans([blank(film(1), 0, 1, 17, 37, 38, 39)]) == [(2, 37)]


def test_a_head_of_blank_and_shared_frames_is_cut_as_one() -> None:
    films = [blank(film(seed, head=shots(6, 99)), 0, 6, 7) for seed in range(3)]
    assert content_spans(films) == [(8, LENGTH)] * 3


@pytest.mark.parametrize("frames", range(1, 30))
def test_no_more_than_a_third_is_cut_from_an_end_and_something_is_always_left(frames: int) -> None:
    alike = [film(0, frames=frames)] * 3
    dark = [blank(film(1, frames=frames), *range(frames))]
    for start, end in content_spans([*alike, *dark]):
        assert 0 <= start <= 0.34 * frames and frames - 0.34 * frames <= end <= frames and start < end
    assert content_spans([film(2, frames=frames)]) == [(0, frames)]


def test_a_collection_without_films_has_no_spans() -> None:
    assert content_spans([]) == []
