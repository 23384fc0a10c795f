"""The new soundtrack: one recording as it is, several as their sum."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import NoAudioTrackError
from core.lip_sync.soundtrack import CEILING_DBTP, soundtrack
from core.media import AudioClip, MediaLimits, measure_loudness, write_audio
from tests.lip_sync.conftest import ASSETS

LIMITS = MediaLimits()


def written(path: Path, samples: NDArray[np.float64], rate: int) -> Path:
    write_audio(path, AudioClip(samples.astype(np.float32), rate))
    return path


def tone(hertz: float, duration_s: float, rate: int, channels: int = 1, level: float = 0.2) -> NDArray[np.float64]:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(duration_s * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def joined(*files: Path) -> AudioClip:
    clips = list(soundtrack(files, LIMITS))
    assert all(len(clip.samples) <= 2 * clip.sample_rate for clip in clips)
    assert len({clip.sample_rate for clip in clips}) == 1
    return AudioClip(np.concatenate([clip.samples for clip in clips]), clips[0].sample_rate)


def test_a_single_recording_keeps_its_samples(tmp_path: Path) -> None:
    samples = tone(440, 2.5, 22050, 2, 0.99)
    clip = joined(written(tmp_path / "one.wav", samples, 22050))
    assert clip.sample_rate == 22050
    np.testing.assert_allclose(clip.samples, samples, atol=1e-4)


def test_a_sum_has_the_highest_rate_and_is_as_long_as_the_longest(tmp_path: Path) -> None:
    """Of 8 kHz mono, 48 kHz stereo and 44.1 kHz mono, each a tone of its own."""
    files = [
        written(tmp_path / "a.wav", tone(300, 1.0, 8000), 8000),
        written(tmp_path / "b.wav", np.array([1.0, 0.0]) * tone(700, 2.5, 48000, 2), 48000),
        written(tmp_path / "c.wav", tone(1900, 1.7, 44100), 44100),
    ]
    clip = joined(*files)
    assert clip.sample_rate == 48000 and clip.samples.shape[1] == 2
    assert len(clip.samples) == pytest.approx(2.5 * 48000, abs=50)

    def levels(begin_s: float, channel: int) -> list[float]:
        part = clip.samples[round(begin_s * 48000) :][:9600, channel]
        spectrum = 2 * np.abs(np.fft.rfft(part)) / 9600
        return [round(float(spectrum[round(hertz / 5)]), 2) for hertz in (300, 700, 1900)]

    assert levels(0.4, 0) == pytest.approx([0.2, 0.2, 0.2], abs=0.02)
    assert levels(0.4, 1) == pytest.approx([0.2, 0.0, 0.2], abs=0.02)
    assert levels(1.3, 0) == pytest.approx([0.0, 0.2, 0.2], abs=0.02)
    assert levels(2.1, 1) == pytest.approx([0.0, 0.0, 0.0], abs=0.02)


def test_more_than_two_channels_become_one(tmp_path: Path) -> None:
    files = [
        written(tmp_path / "a.wav", tone(300, 1.0, 48000, 6), 48000),
        written(tmp_path / "b.wav", tone(700, 1.0, 48000), 48000),
    ]
    assert joined(*files).samples.shape[1] == 1


@pytest.mark.parametrize("count", [2, 5])
def test_a_sum_never_clips(tmp_path: Path, count: int) -> None:
    files = [written(tmp_path / f"{n}.wav", tone(200 + 7 * n, 1.5, 44100, 1, 0.9), 44100) for n in range(count)]
    clip = joined(*files)
    assert np.abs(clip.samples).max() < 10 ** ((CEILING_DBTP + 0.5) / 20)
    assert measure_loudness([clip]).true_peak_dbtp < CEILING_DBTP + 0.5


def test_a_file_without_sound_is_named(tmp_path: Path) -> None:
    one = written(tmp_path / "one.wav", tone(300, 1, 8000), 8000)
    with pytest.raises(NoAudioTrackError, match=r"astronaut.jpg"):
        joined(one, ASSETS / "astronaut.jpg")
