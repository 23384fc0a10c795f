"""What the network hears of a recording, and when nobody speaks in it."""

from fractions import Fraction
from pathlib import Path
from time import perf_counter

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import MediaDamagedError, MediaOpenError, NoAudioTrackError
from core.lip_sync import speech as speech_module
from core.lip_sync.sound import frame_windows, mfcc, silent_column
from core.lip_sync.speech import DrivingSpeech, speaking
from core.media import AudioClip, MediaLimits, read_audio, write_audio
from tests.factories import moving_clip
from tests.lip_sync.conftest import ASSETS
from tests.lip_sync.stand_ins import bursts

Wave = NDArray[np.float32]
SAMPLE = ASSETS / "sample_en.wav"
LIMITS = MediaLimits()


@pytest.fixture(scope="module")
def spoken() -> Wave:
    """Six seconds of speech, mono at 16 kHz."""
    return np.ascontiguousarray(read_audio(SAMPLE, sample_rate=16000, mono=True).samples[:, 0])


def noise(count: int, level: float, seed: int = 0) -> Wave:
    return (level * np.random.default_rng(seed).normal(size=count)).astype(np.float32)


def is_silent(heard: DrivingSpeech) -> bool:
    return bool((heard.columns == silent_column()[:, None]).all())


class TestGate:
    @pytest.mark.parametrize("level", [0, 1e-5, 3e-4], ids=["none", "dither", "recorder's hiss"])
    def test_silent_speech_gives_silent_windows_everywhere(self, level: float) -> None:
        heard = DrivingSpeech.of_wave(noise(48000, level))
        assert is_silent(heard) and heard.duration_s == 3
        silence = np.repeat(silent_column()[:, None], 20, axis=1)
        for window in heard.windows([Fraction(n, 25) for n in range(-5, 90)]):
            np.testing.assert_array_equal(window, silence)

    def test_loud_noise_and_hum_are_nobody(self) -> None:
        hum = (0.4 * np.sin(2 * np.pi * 100 * np.arange(48000) / 16000)).astype(np.float32)
        for wave in (noise(48000, 0.3), hum):
            assert is_silent(DrivingSpeech.of_wave(wave))
            assert not is_silent(DrivingSpeech.of_wave(wave, gate=False))

    def test_sounds_that_come_and_go_without_a_voice_are_said_where_they_are_loud(self) -> None:
        """As a dog barks; a fifth of a second of noise in every second."""
        wave = noise(64000, 0.2) * (np.arange(64000) % 16000 < 3200)
        mask = speaking(wave.astype(np.float32))
        assert mask[:20].all() and mask[100:120].all()
        assert not mask[30:90].any() and not mask[130:190].any()

    def test_speech_between_silence_is_found_and_the_rest_is_shut(self, spoken: Wave) -> None:
        wave = np.concatenate([noise(32000, 1e-4), spoken, noise(32000, 1e-4, 1)])
        mask = speaking(wave)
        assert not mask[:180].any() and not mask[200 + len(spoken) // 160 + 20 :].any()
        assert mask[200:-200].mean() > 0.6

    def test_few_words_in_minutes_of_hiss_are_found(self, spoken: Wave) -> None:
        """Their loudness and not that of the hiss says what is loud."""
        wave = noise(16000 * 60, 1e-3)
        wave[160000 : 160000 + 32000] += spoken[8000:40000]
        mask = speaking(wave)
        assert mask[1000:1200].mean() > 0.7
        assert mask.mean() < 0.05

    def test_a_third_of_a_second_of_speech_is_said(self, spoken: Wave) -> None:
        for begin in (8000, 24000, 40000):
            assert speaking(spoken[begin : begin + 4800]).mean() > 0.8

    @pytest.mark.parametrize("gain", [1 / 100, 1 / 10, 40], ids=["very soft", "soft", "clipped"])
    def test_the_level_of_a_recording_matters_little(self, spoken: Wave, gain: float) -> None:
        usual, other = speaking(spoken), speaking(np.clip(gain * spoken, -1, 1).astype(np.float32))
        assert (usual != other).mean() < 0.2 and other.mean() > 0.6

    def test_without_the_gate_everything_is_heard(self, spoken: Wave) -> None:
        np.testing.assert_array_equal(DrivingSpeech.of_wave(spoken, gate=False).columns, mfcc(spoken))


class TestPieces:
    @pytest.mark.parametrize("length", [1, 159, 160, 3200, 8000, 8001, 24000, 33333])
    def test_sound_heard_in_pieces_is_the_same_as_at_once(self, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(speech_module, "_PIECE", 50)
        wave = bursts(3)[:length]
        blocks = [wave[begin : begin + 7000] for begin in range(0, length, 7000)]
        heard = DrivingSpeech.of_blocks(blocks, gate=False)
        assert heard.duration_s == Fraction(length, 16000)
        np.testing.assert_allclose(heard.columns, mfcc(wave), atol=2e-3)

    def test_the_gate_of_pieces_is_that_of_the_whole_but_at_their_seams(
        self, spoken: Wave, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = DrivingSpeech.of_wave(spoken).columns[0]
        monkeypatch.setattr(speech_module, "_PIECE", 300)
        parts = DrivingSpeech.of_blocks([spoken[:50000], spoken[50000:]]).columns[0]
        shut = silent_column()[0]
        assert ((whole == shut) != (parts == shut)).mean() < 0.1

    def test_no_sound_at_all_has_no_columns_and_silent_windows(self) -> None:
        heard = DrivingSpeech.of_blocks([])
        assert heard.duration_s == 0
        assert (heard.windows([Fraction(0), Fraction(1)]) == silent_column()[:, None]).all()
        assert heard.windows([]).shape == (0, 20, 20)

    def test_windows_of_two_hours_cost_what_those_of_ten_seconds_do(self) -> None:
        times = {}
        for seconds in (10, 7200):
            heard = DrivingSpeech(np.zeros((20, 100 * seconds), np.float32), Fraction(seconds))
            begin = perf_counter()
            for n in range(200):
                heard.windows([seconds * Fraction(n, 200)])
            times[seconds] = perf_counter() - begin
        assert times[7200] < 10 * times[10]

    def test_a_window_anywhere_is_that_of_the_whole(self) -> None:
        wave = bursts(2)
        heard = DrivingSpeech.of_wave(wave, gate=False)
        far = heard.windows([(n + Fraction(1, 2)) / 25 for n in (0, 60)])
        np.testing.assert_allclose(far, frame_windows(mfcc(wave), 61)[[0, 60]], atol=1e-3)


class TestFiles:
    def heard(self, path: Path) -> DrivingSpeech:
        return DrivingSpeech.of_file(path, True, LIMITS)

    @pytest.mark.parametrize(
        ("rate", "channels"), [(8000, 1), (48000, 2), (44100, 1)], ids=["8 kHz", "48 kHz stereo", "44.1 kHz"]
    )
    def test_any_rate_and_any_channels_are_heard_alike(self, tmp_path: Path, rate: int, channels: int) -> None:
        clip = read_audio(SAMPLE, sample_rate=rate, mono=True)
        write_audio(tmp_path / "speech.wav", AudioClip(np.repeat(clip.samples, channels, axis=1), rate))
        one, other = self.heard(SAMPLE), self.heard(tmp_path / "speech.wav")
        assert abs(one.duration_s - other.duration_s) < Fraction(1, 100)
        shut = silent_column()[0]
        n = min(one.columns.shape[1], other.columns.shape[1])
        assert ((one.columns[0, :n] == shut) != (other.columns[0, :n] == shut)).mean() < 0.1

    def test_music_files_with_a_cover_are_heard(self, tmp_path: Path, spoken: Wave) -> None:
        """MP3, whose cover is a second track that holds a picture."""
        path = tmp_path / "speech.mp3"
        Image.new("RGB", (64, 64), (200, 0, 0)).save(tmp_path / "cover.jpg")
        with av.open(str(path), "w") as container, av.open(str(tmp_path / "cover.jpg")) as cover:
            stream = container.add_stream("libmp3lame", rate=16000, layout="mono")
            picture = container.add_stream_from_template(cover.streams.video[0])
            picture.disposition = av.stream.Disposition.attached_pic
            frame = av.AudioFrame.from_ndarray((spoken * 32767).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate = 16000
            packets = list(stream.encode(frame)) + list(stream.encode(None))
            for packet in cover.demux(cover.streams.video[0]):
                if packet.size:
                    packet.stream = picture
                    container.mux(packet)
            container.mux(packets)
        with av.open(str(path)) as container:
            assert len(container.streams.video) == 1
        heard = self.heard(path)
        assert abs(heard.duration_s - Fraction(len(spoken), 16000)) < Fraction(1, 10) and not is_silent(heard)

    def test_a_film_can_be_what_is_said(self, tmp_path: Path) -> None:
        film = moving_clip(tmp_path / "film.mp4", duration_s=2, audio_channels=2)
        heard = DrivingSpeech.of_file(film, False, LIMITS)
        assert abs(heard.duration_s - 2) < Fraction(1, 10) and not is_silent(heard)

    def test_what_has_no_sound_is_refused_with_a_reason(self, tmp_path: Path) -> None:
        write_audio(tmp_path / "empty.wav", AudioClip(np.zeros((0, 1), np.float32), 16000))
        (tmp_path / "zero.wav").write_bytes(b"")
        film = moving_clip(tmp_path / "silent.mp4", duration_s=1)
        with pytest.raises(MediaDamagedError, match=r"empty.wav is damaged: no sound"):
            self.heard(tmp_path / "empty.wav")
        with pytest.raises(NoAudioTrackError, match=r"silent.mp4"):
            self.heard(film)
        with pytest.raises(NoAudioTrackError, match=r"astronaut.jpg is a picture"):
            self.heard(ASSETS / "astronaut.jpg")
        for missing in ("zero.wav", "none.wav"):
            with pytest.raises(MediaOpenError, match=missing):
                self.heard(tmp_path / missing)
