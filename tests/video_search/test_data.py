"""Sequences drawn from films and their features kept: where they lie, what they depend on, and what a stop leaves."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.encoders.image import Pictures, Vectors
from core.errors import CancelledError, ParameterError
from core.media import MediaLimits, write_video
from core.runtime import silent
from core.video_search.config import SearchConfig
from core.video_search.data import (
    MIN_FRAMES,
    SEQUENCE_FRAMES,
    SEQUENCE_S,
    DrawnFilms,
    SequenceConfig,
    cached_features,
    draw_window,
    padded,
    programme_spans,
)
from core.video_search.reading import frame_features
from tests.factories import moving_clip, numbered_pictures
from tests.video_search.colours import ColourEncoder

FEW = SequenceConfig(draws=4)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, films: list[Path]) -> list[Path]:
    """Their features; tests leave them as they are."""
    return cached_features(films, tmp_path_factory.mktemp("kept"), ColourEncoder(), FEW)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Films of 2, 12 and 40 seconds."""
    folder = tmp_path_factory.mktemp("films")
    return [
        moving_clip(folder / f"{duration_s}.mp4", 96, 64, frame_rate=2, duration_s=duration_s, seed=duration_s)
        for duration_s in (2, 12, 40)
    ]


def draws(files: Sequence[Path]) -> list[list[Vectors]]:
    """Every draw of every film."""
    return [[draw.astype(np.float32) for draw in film] for film in DrawnFilms(files).films]


def same(first: Sequence[Path], second: Sequence[Path]) -> list[list[bool]]:
    """For every film, which of its draws are the same in both."""
    pairs = zip(draws(first), draws(second), strict=True)
    return [[np.array_equal(a, b) for a, b in zip(*pair, strict=True)] for pair in pairs]


def stopping_at(film: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, what: str) -> None:
        if done == film:
            raise CancelledError("Stopped.")

    return progress


@pytest.mark.parametrize("duration_s", [32, 32.4, 75, 3600])
def test_of_a_long_film_any_32_seconds_are_drawn_a_frame_a_second(duration_s: float) -> None:
    random = np.random.default_rng(0)
    windows = [draw_window(duration_s, random) for _ in range(200)]
    assert {(window.step_s, window.frames) for window in windows} == {(1.0, SEQUENCE_FRAMES)}
    starts = np.array([window.start_s for window in windows])
    assert starts.min() >= 0 and starts.max() <= duration_s - SEQUENCE_S
    assert np.median(starts) == pytest.approx((duration_s - SEQUENCE_S) / 2, rel=0.2)


@pytest.mark.parametrize("duration_s", [0.04, 1, 5, 12.5, 31.9])
def test_of_a_shorter_film_60_to_100_percent_are_drawn(duration_s: float) -> None:
    random = np.random.default_rng(0)
    windows = [draw_window(duration_s, random) for _ in range(200)]
    shares = np.array([window.frames * window.step_s / duration_s for window in windows])
    assert shares.min() >= 0.6 - 1e-9 and shares.max() <= 1 + 1e-9 and np.ptp(shares) > 0.35
    for window in windows:
        assert MIN_FRAMES <= window.frames <= SEQUENCE_FRAMES
        assert window.start_s >= 0 and window.start_s + window.step_s * window.frames <= duration_s + 1e-9
    speeds = [1 / window.step_s for window in windows if MIN_FRAMES < window.frames < SEQUENCE_FRAMES]
    assert duration_s < 14 or (min(speeds) > 0.75 and max(speeds) < 1.3)


def test_a_film_without_length_has_a_sequence_of_its_one_moment() -> None:
    window = draw_window(0, np.random.default_rng(0))
    assert (window.start_s, window.step_s, window.frames) == (0, 0, MIN_FRAMES)


def test_the_first_draw_is_the_film_as_the_search_sees_it_and_the_others_are_changed(
    films: list[Path], kept: list[Path]
) -> None:
    drawn = draws(kept)
    assert [len(film[0]) for film in drawn] == [MIN_FRAMES, 12, SEQUENCE_FRAMES]
    assert {len(draw) for draw in drawn[2]} == {SEQUENCE_FRAMES}
    for film, path in zip(drawn, films, strict=True):
        seen = frame_features(path, ColourEncoder(), SearchConfig())[1][:SEQUENCE_FRAMES]
        np.testing.assert_allclose(film[0], seen, atol=0.08)
        assert np.abs(film[0] - seen).mean() < 0.02
        assert all(np.abs(draw.mean(0) - film[0].mean(0)).mean() > 0.03 for draw in film[1:])


def test_the_same_seed_keeps_the_same_and_another_seed_changes_all_but_the_film_as_it_is(
    films: list[Path], kept: list[Path], tmp_path: Path
) -> None:
    again, other = (
        cached_features(films, tmp_path, ColourEncoder(), SequenceConfig(draws=4, seed=seed)) for seed in (0, 1)
    )
    assert [file.name for file in again] == [file.name for file in kept]
    assert same(kept, again) == [[True] * 4] * 3
    assert same(kept, other) == [[True, False, False, False]] * 3


def test_what_was_computed_is_not_computed_again_unless_encoder_or_settings_change(
    films: list[Path], kept: list[Path], tmp_path: Path
) -> None:
    encoder, newer = ColourEncoder(), ColourEncoder(version="2")
    assert cached_features(films, kept[0].parent, encoder, FEW) == kept and encoder.pictures == 0
    assert not set(cached_features(films[:1], tmp_path, newer, FEW)) & set(kept) and newer.pictures > 0
    cached_features(films[:1], tmp_path, encoder, SequenceConfig(draws=4, web_copies=False))
    assert encoder.pictures > 0


def test_heads_and_tails_are_read_once_too(tmp_path: Path) -> None:
    long, encoder = moving_clip(tmp_path / "long.mp4", 32, 32, frame_rate=1, duration_s=61), ColourEncoder()
    files = cached_features([long], tmp_path / "kept", encoder, FEW)
    looked_at = encoder.pictures
    assert cached_features([long], tmp_path / "kept", encoder, FEW) == files
    assert encoder.pictures == looked_at > 40 + FEW.draws * SEQUENCE_FRAMES - 1


def test_a_run_that_was_stopped_goes_on_where_it_was_and_ends_as_if_it_had_not(
    films: list[Path], tmp_path: Path
) -> None:
    """With so many draws some small pictures lie over the film before, which the first run alone had read."""
    config = SequenceConfig(draws=30)
    whole, stopped, resumed = ColourEncoder(), ColourEncoder(), ColourEncoder()
    expected = cached_features(films[:2], tmp_path / "whole", whole, config)
    with pytest.raises(CancelledError):
        cached_features(films[:2], tmp_path / "parts", stopped, config, stopping_at(1))
    assert len(list((tmp_path / "parts").iterdir())) == 1
    files = cached_features(films[:2], tmp_path / "parts", resumed, config)
    assert same(expected, files) == [[True] * 30] * 2
    assert 0 < resumed.pictures < whole.pictures and stopped.pictures + resumed.pictures == whole.pictures


def test_films_that_cannot_be_read_are_left_out_and_named(
    films: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = tmp_path / "words.mp4"
    text.write_text("no film")
    files = cached_features([tmp_path / "gone.mp4", films[0], text], tmp_path / "kept", ColourEncoder(), FEW)
    assert len(files) == 1
    assert same(files, cached_features(films[:1], tmp_path / "alone", ColourEncoder(), FEW)) == [[True] * 4]
    assert "gone.mp4" in caplog.text and "words.mp4" in caplog.text and "2.mp4" not in caplog.text


def test_the_head_that_films_share_is_left_out_and_so_is_all_but_the_middle_of_a_very_long_film(tmp_path: Path) -> None:
    films = []
    for seed in range(4):
        shared = numbered_pictures(8, 96, 64, seed=99) if seed < 3 else numbered_pictures(8, 96, 64, seed=98)
        films.append(tmp_path / f"{seed}.mp4")
        write_video(films[-1], [*shared, *numbered_pictures(60, 96, 64, seed=seed)], Fraction(1))
    spans = programme_spans(films, FineEncoder(), MediaLimits())
    assert [(float(span.start_s), float(span.end_s)) for span in spans.values()] == [(8, 68)] * 3 + [(0, 68)]
    long = moving_clip(tmp_path / "long.mp4", 32, 32, frame_rate=1, duration_s=700)
    (span,) = programme_spans([long], FineEncoder(), MediaLimits()).values()
    assert (span.start_s, span.end_s, span.whole) == (50, 650, False)


class FineEncoder(ColourEncoder):
    """Its fields less their mean, so that two pictures of different films are hardly ever alike."""

    def encode(self, pictures: Pictures) -> Vectors:
        fields = super().encode(pictures)
        return fields - fields.mean(axis=1, keepdims=True)


def test_progress_names_every_film_and_ends_at_the_last(films: list[Path], kept: list[Path]) -> None:
    told: list[tuple[int, int, str]] = []
    cached_features(films, kept[0].parent, ColourEncoder(), FEW, lambda *now: told.append(now))
    assert told[-4:] == [(0, 3, "2.mp4"), (1, 3, "12.mp4"), (2, 3, "40.mp4"), (3, 3, "features")]
    assert [now for now, _, _ in told] == sorted(now for now, _, _ in told)


def test_every_film_is_there_once_more_played_backwards_when_that_is_asked_for(kept: list[Path]) -> None:
    forwards, both = DrawnFilms(kept), DrawnFilms(kept, backwards=True)
    assert (len(forwards), len(both)) == (3, 6)
    for number, film in enumerate(forwards.films):
        for draw, again, backwards in zip(film, both.films[number], both.films[3 + number], strict=True):
            np.testing.assert_array_equal(again, draw)
            np.testing.assert_array_equal(backwards, draw[::-1])


def test_padding_takes_sequences_played_backwards() -> None:
    values, _ = padded([np.arange(3.0)[::-1, None], np.ones((1, 1))])
    assert values[:, :, 0].tolist() == [[2, 1, 0], [1, 0, 0]]


def test_padding_puts_zeros_behind_every_shorter_sequence() -> None:
    sequences = [np.full((length, 2), length, np.float16) for length in (3, 1, 2)]
    values, mask = padded(sequences)
    assert values.dtype == torch.float32
    assert values[:, :, 0].tolist() == [[3, 3, 3], [1, 0, 0], [2, 2, 0]]
    assert mask.tolist() == [[True] * 3, [True, False, False], [True, True, False]]


def test_settings_and_collections_that_cannot_be_trained_on_are_refused_with_a_remedy() -> None:
    with pytest.raises(ParameterError, match="no film to train on; give a folder"):
        DrawnFilms([])
    for count in (1, 1001):
        with pytest.raises(ParameterError, match=f"draws is {count}; choose a number from 2 to 1000"):
            SequenceConfig(draws=count)


def test_a_collection_without_films_has_no_features(tmp_path: Path) -> None:
    assert cached_features([], tmp_path, ColourEncoder(), FEW, silent) == []
