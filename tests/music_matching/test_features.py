"""Features: what is packed comes back, parts of tracks, colours."""

import numpy as np
import pytest

from core.music_matching.features import (
    TrackFeatures,
    VideoFeatures,
    colour_statistics,
    logits,
    packed,
    rhythm_statistics,
    unpacked,
)
from core.music_matching.keywords import Keyword
from core.music_matching.rhythm import Rhythm


def made_track(seed: int = 0, patches: int = 10, words: bool = True, duration_s: float = 60.0) -> TrackFeatures:
    """A track of made-up features."""
    random = np.random.default_rng(seed)
    beats = np.arange(0, duration_s, 0.5, dtype=np.float32)
    rhythm = Rhythm(
        120.0,
        beats,
        beats[::4],
        random.random(round(duration_s * 31.25), dtype=np.float32),
        (-40 * random.random(round(duration_s * 3.90625))).astype(np.float32),
    )
    return TrackFeatures(
        duration_s,
        random.standard_normal((patches, 200)).astype(np.float32),
        random.random((patches, 50), dtype=np.float32),
        random.random(50, dtype=np.float32),
        duration_s / patches,
        rhythm,
        random.standard_normal(384).astype(np.float32) if words else None,
        (Keyword("sea", 1.0, "title"),) if words else (),
        0.25,
    )


@pytest.mark.parametrize("words", [True, False])
def test_a_packed_track_comes_back(words: bool) -> None:
    track = made_track(words=words)
    back = unpacked(packed(track), TrackFeatures)
    assert isinstance(back, TrackFeatures)
    assert back.keywords == track.keywords and back.voice_share == 0.25 and (back.words is None) == (not words)
    assert np.allclose(back.patches, track.patches, atol=2e-3) and np.allclose(back.tags, track.tags, atol=1e-3)
    assert np.allclose(back.rhythm.onsets, track.rhythm.onsets, atol=1 / 500)
    assert np.allclose(back.rhythm.energy_db, track.rhythm.energy_db, atol=0.17)
    assert np.array_equal(back.rhythm.beats_s, track.rhythm.beats_s)


def test_a_packed_film_comes_back() -> None:
    random = np.random.default_rng(1)
    video = VideoFeatures(
        12.5, random.random(1280, np.float32), random.random(8, np.float32), None, (Keyword("dog", 0.5, "seen"),),
        np.array([1.5, 3.25], np.float32), random.random(50, np.float32), np.array([[0.5, 2.0]], np.float32),
    )  # fmt: skip
    back = unpacked(packed(video), VideoFeatures)
    assert isinstance(back, VideoFeatures) and back.words is None and back.keywords == video.keywords
    assert np.array_equal(back.image, video.image) and np.array_equal(back.cuts_s, video.cuts_s)
    assert np.allclose(back.motion, video.motion, atol=1 / 500) and np.array_equal(back.voice, video.voice)


def test_a_part_of_a_track_is_described_by_its_own_patches() -> None:
    track = made_track(patches=10)
    part, whole = track.modalities(12.0, 24.0), track.modalities()
    assert part["sound"][:200] == pytest.approx(track.patches[2:4].mean(0))  # type: ignore[index]
    assert whole["sound"][:200] == pytest.approx(track.patches.mean(0))  # type: ignore[index]
    assert track.modalities(1000.0, 1010.0)["sound"][:200] == pytest.approx(track.patches[-1])  # type: ignore[index]


def test_colours_are_those_of_the_pictures() -> None:
    pictures = np.zeros((2, 16, 16, 3), np.uint8)
    pictures[1] = (255, 0, 0)
    statistics = colour_statistics(pictures)
    assert statistics[:4] == pytest.approx([0.5, 0, 0, 0.5])
    assert statistics[4] == 0 and statistics[5] == pytest.approx(1 / 6)
    assert statistics[6:] == pytest.approx([0.5, 0])


def test_logits_are_bounded_and_rise() -> None:
    values = logits(np.array([0, 0.01, 0.5, 0.99, 1], np.float32))
    assert (np.diff(values) > 0).all() and np.abs(values).max() < 7 and values[2] == pytest.approx(0)


def test_faster_and_louder_music_has_larger_statistics() -> None:
    track = made_track()
    calm = Rhythm(60.0, track.rhythm.beats_s, track.rhythm.downbeats_s, (track.rhythm.onsets / 4).astype(np.float32),
                  (track.rhythm.energy_db - 20).astype(np.float32))  # fmt: skip
    slow, fast = rhythm_statistics(calm), rhythm_statistics(track.rhythm)
    assert (fast[[0, 1, 3, 5]] > slow[[0, 1, 3, 5]]).all()
