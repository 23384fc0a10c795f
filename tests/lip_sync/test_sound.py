"""The cepstrum of speech and the window of each frame: shapes, alignment, an oracle."""

from fractions import Fraction

import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.sound import COEFFICIENTS, COLUMNS, HOP, frame_windows, frames_of, mfcc, silent_column
from tests.lip_sync.conftest import ASSETS

Wave = NDArray[np.float32]


@pytest.fixture(scope="module")
def speech() -> Wave:
    """6.4 seconds of English."""
    wave, sample_rate = soundfile.read(ASSETS / "sample_en.wav", dtype="float32")
    assert sample_rate == 16000
    return wave


def click_at(column: int, seconds: float = 1) -> Wave:
    """Silence with one sample in the middle of a column."""
    wave = np.zeros(round(16000 * seconds), np.float32)
    wave[column * HOP + HOP // 2] = 1
    return wave


class TestMfcc:
    @pytest.mark.parametrize(("samples", "columns"), [(0, 0), (1, 1), (160, 1), (161, 2), (16000, 100)])
    def test_every_begun_hundredth_of_a_second_has_a_column(self, samples: int, columns: int) -> None:
        assert mfcc(np.zeros(samples, np.float32)).shape == (COEFFICIENTS, columns)

    def test_silence_is_the_silent_column(self) -> None:
        np.testing.assert_allclose(mfcc(np.zeros(800, np.float32)), silent_column()[:, None].repeat(5, 1), atol=1e-3)

    @pytest.mark.parametrize("column", [0, 1, 50, 99])
    def test_a_click_is_loudest_in_its_own_column_and_the_same_on_either_side(self, column: int) -> None:
        loudness = np.pad(mfcc(click_at(column))[0], 2, constant_values=silent_column()[0])
        assert int(loudness.argmax()) == column + 2
        assert loudness[column + 1] == pytest.approx(loudness[column + 3], abs=0.5) or column in (0, 99)

    def test_it_is_what_librosa_computes_of_columns_centred_on_their_middles(self, speech: Wave) -> None:
        """librosa centres column k on k hops; without the first half hop of silence they are ours."""
        whole = librosa.feature.melspectrogram(
            y=np.pad(speech, (HOP // 2, 0)), sr=16000, n_fft=512, hop_length=HOP, win_length=400, n_mels=40
        )
        wanted = librosa.feature.mfcc(S=librosa.power_to_db(whole, amin=1e-10, top_db=None), n_mfcc=COEFFICIENTS)
        found = mfcc(speech)
        np.testing.assert_allclose(found, wanted[:, 1 : found.shape[1] + 1], atol=0.02)

    def test_long_sound_is_computed_in_blocks_without_a_seam(
        self, speech: Wave, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = mfcc(speech)
        monkeypatch.setattr("core.lip_sync.sound._BLOCK", 37)
        np.testing.assert_allclose(mfcc(speech), whole, atol=1e-3)

    def test_what_is_no_sound_is_refused(self) -> None:
        with pytest.raises(ParameterError, match=r"give float32 of shape \(N,\)"):
            mfcc(np.zeros((10, 2), np.float32))
        with pytest.raises(ParameterError, match="not numbers"):
            mfcc(np.array([0, np.nan], np.float32))


class TestFrameWindows:
    def test_at_25_frames_a_second_the_window_is_eight_columns_before_to_eleven_behind(self) -> None:
        columns = np.arange(100, dtype=np.float32) * np.ones((COEFFICIENTS, 1), np.float32)
        windows = frame_windows(columns, 25)
        assert windows.shape == (25, COEFFICIENTS, COLUMNS)
        for frame in range(2, 22):
            np.testing.assert_array_equal(windows[frame, 3], np.arange(4 * frame - 8, 4 * frame + 12))

    def test_before_the_beginning_and_behind_the_end_there_is_silence(self) -> None:
        windows = frame_windows(np.ones((COEFFICIENTS, 8), np.float32), 4)
        silence = silent_column()[:, None]
        np.testing.assert_array_equal(windows[0, :, :8], silence.repeat(8, 1))
        np.testing.assert_array_equal(windows[0, :, 8:16], 1)
        np.testing.assert_array_equal(windows[0, :, 16:], silence.repeat(4, 1))
        np.testing.assert_array_equal(windows[3, :, :4], 1)
        np.testing.assert_array_equal(windows[3, :, 4:], silence.repeat(16, 1))

    @pytest.mark.parametrize("frame", [0, 6, 24])
    def test_a_click_in_the_middle_of_a_frame_is_in_the_middle_of_its_window(self, frame: int) -> None:
        wave = np.zeros(16000, np.float32)
        wave[round((frame + 0.5) * 640)] = 1
        loudness = frame_windows(mfcc(wave), 25)[frame, 0]
        assert int(loudness.argmax()) in (9, 10)
        assert loudness[9] == pytest.approx(loudness[10], abs=3)

    @pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(50), Fraction(60)])
    def test_at_any_rate_windows_follow_the_clock_without_drift(self, rate: Fraction) -> None:
        """After ten minutes the middle of the window is within half a column of that of the frame."""
        columns = np.arange(60_100, dtype=np.float32) * np.ones((COEFFICIENTS, 1), np.float32)
        frames = int(600 * rate)
        middles = frame_windows(columns, frames, rate)[1000:, 0].mean(axis=1) + 0.5
        wanted = (np.arange(1000, frames) + 0.5) / float(rate) * 100
        assert np.abs(middles - wanted).max() <= 0.5 + 0.01

    def test_sound_of_no_length_has_silent_windows_and_no_frames_none(self) -> None:
        empty = mfcc(np.zeros(0, np.float32))
        np.testing.assert_array_equal(frame_windows(empty, 2), np.broadcast_to(silent_column()[:, None], (2, 20, 20)))
        assert frame_windows(empty, 0).shape == (0, COEFFICIENTS, COLUMNS)

    def test_speech_has_as_many_frames_as_it_lasts(self, speech: Wave) -> None:
        assert frames_of(speech) == -(-len(speech) // 640)
        assert frames_of(np.zeros(16000, np.float32), Fraction(30000, 1001)) == 30
        assert frames_of(np.zeros(0, np.float32)) == 0

    def test_a_rate_of_nothing_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="give numbers above zero"):
            frame_windows(np.zeros((COEFFICIENTS, 4), np.float32), 3, Fraction(0))
