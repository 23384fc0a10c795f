"""Loudness and true peak, against ffmpeg's own program, and the limiter."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.errors import ParameterError
from core.media import AudioClip, limited, measure_loudness
from tests.factories import tone
from tests.music_matching.makers import RATE, ffmpeg_loudness, groove


def steep(channels: int, duration_s: float = 6) -> np.ndarray:
    """A groove with sharp noise in it, in some channels."""
    noise = np.random.default_rng(3).standard_normal((round(duration_s * RATE), channels)) * 0.05
    return np.clip(groove(duration_s)[:, :1] * 0.5 + noise, -1, 1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_loudness_and_peak_are_those_of_ffmpeg(channels: int, tmp_path: Path) -> None:
    samples = steep(channels)
    soundfile.write(tmp_path / "sound.wav", samples, RATE, subtype="FLOAT")
    halves = [AudioClip(samples[:100_000], RATE), AudioClip(samples[100_000:], RATE)]
    told = measure_loudness(halves)
    integrated, peak = ffmpeg_loudness(tmp_path / "sound.wav")
    if channels != 6:  # six channels in a WAV file of soundfile's have no layout, so ffmpeg weighs them alike
        assert told.integrated_lufs == pytest.approx(integrated, abs=0.06)
    assert told.true_peak_dbtp == pytest.approx(peak, abs=0.06)


@pytest.mark.parametrize("samples", [np.zeros((RATE, 2)), np.full((100, 2), 0.5), np.zeros((0, 1))])
def test_silence_and_what_is_too_short_is_called_silent(samples: np.ndarray) -> None:
    assert measure_loudness([AudioClip(samples.astype(np.float32), RATE)]).is_silent
    assert measure_loudness([]).is_silent


@pytest.mark.parametrize("ceiling", [-1.0, -6.0])
def test_limited_sound_keeps_its_length_its_place_and_its_ceiling(ceiling: float) -> None:
    samples = steep(2)
    parts = list(limited([AudioClip(samples, RATE)], gain_db=9, ceiling_dbtp=ceiling))
    out = np.concatenate([part.samples for part in parts])
    assert out.shape == samples.shape
    assert measure_loudness([AudioClip(out, RATE)]).true_peak_dbtp <= ceiling + 0.5
    delays = [float((samples[2000:90_000, 0] * out[2000 + d : 90_000 + d, 0]).sum()) for d in range(-20, 21)]
    assert int(np.argmax(delays)) == 20


def test_sound_below_the_ceiling_only_gets_its_gain() -> None:
    samples = tone(3, 1, RATE) * 0.1
    out = np.concatenate([part.samples for part in limited([AudioClip(samples, RATE)], 6.0, -1.0)])
    assert np.allclose(out[500:-500], samples[500:-500] * 10 ** (6 / 20), atol=2e-3)


def test_a_ceiling_out_of_range_is_refused() -> None:
    with pytest.raises(ParameterError, match="give -30 to 0"):
        list(limited([AudioClip(steep(1), RATE)], 0, 3))
