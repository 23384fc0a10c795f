"""Reading sound on the picture's clock, and laying a soundtrack under an untouched picture."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import ClipTooShortError, MediaError, MediaLimitError, NoAudioTrackError, ParameterError
from core.media import (
    AudioClip,
    AudioRequest,
    MediaLimits,
    VideoReader,
    probe,
    read_audio,
    replace_soundtrack,
    stream_audio,
)
from tests.factories import moving_clip, numbered_picture, sound_file, tone
from tests.media.conftest import FRAMES, Clips

SOME = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CLICK_S = 0.8


def clicking(duration_s: float = 2.0, rate: int = 48000) -> NDArray[np.float32]:
    """Silence with one short burst at `CLICK_S`: float32 (N, 1)."""
    samples = np.zeros((round(duration_s * rate), 1), np.float32)
    begin = round(CLICK_S * rate)
    samples[begin : begin + rate // 50] = tone(0.02, 1, rate) * 3
    return samples


def click_s(clip: AudioClip) -> float:
    """When the burst begins: the first sample above a fifth of the loudest."""
    level = np.abs(clip.samples).max(axis=1)
    return float(np.argmax(level > level.max() / 5) / clip.sample_rate)


def packets_of(path: Path) -> list[tuple[bytes, Fraction]]:
    """Bytes and presentation time of the picture's packets."""
    with av.open(str(path)) as container:
        packets: list[Packet] = [packet for packet in container.demux(video=0) if packet.size]
        return [(bytes(packet), (packet.pts or 0) * packet.time_base) for packet in packets]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds of silent film."""
    return moving_clip(tmp_path / "film.mp4")


class TestReading:
    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
    def test_a_click_is_heard_when_it_was_laid(self, film: Path, tmp_path: Path, suffix: str) -> None:
        out = tmp_path / f"out{suffix}"
        replace_soundtrack(film, AudioClip(clicking(), 48000), out)
        assert click_s(read_audio(out)) == pytest.approx(CLICK_S, abs=0.002)

    @pytest.mark.parametrize("picture_late_s", [Fraction(-1, 2), Fraction(0), Fraction(1, 4)])
    def test_time_zero_is_the_first_picture(self, tmp_path: Path, picture_late_s: Fraction) -> None:
        path = tmp_path / "film.mkv"
        with av.open(str(path), "w") as container:
            pictures = container.add_stream("mpeg4", rate=25)
            sound = container.add_stream("pcm_s16le", rate=48000, layout="mono")
            pictures.width, pictures.height, pictures.pix_fmt = 160, 120, "yuv420p"
            pictures.codec_context.time_base = Fraction(1, 100)
            burst = (clicking() * 32767).astype(np.int16).reshape(1, -1)
            block = av.AudioFrame.from_ndarray(burst, "s16", "mono")
            block.sample_rate, block.time_base = 48000, Fraction(1, 48000)
            block.pts = 48000
            container.mux(sound.encode(block))
            for number in range(50):
                frame = av.VideoFrame.from_ndarray(numbered_picture(number), "rgb24")
                frame.time_base, frame.pts = Fraction(1, 100), int(100 * (1 + picture_late_s)) + 4 * number
                container.mux(pictures.encode(frame))
            container.mux([*pictures.encode(None), *sound.encode(None)])
        with VideoReader(path) as reader:
            assert next(reader.frames()).time_s == 0
        assert click_s(read_audio(path)) == pytest.approx(CLICK_S - float(picture_late_s), abs=0.002)

    @SOME
    @given(start=st.fractions(0, Fraction(19, 10)), duration=st.fractions(Fraction(1, 100), 3))
    def test_a_part_is_that_part_of_the_whole(self, clips: Clips, start: Fraction, duration: Fraction) -> None:
        whole = read_audio(clips("with-sound.mp4")).samples
        part = read_audio(clips("with-sound.mp4"), start_s=start, duration_s=duration).samples
        begin = round(start * 48000)
        assert np.array_equal(part, whole[begin : begin + round(duration * 48000)])

    def test_a_part_far_into_a_long_film_is_found_by_seeking(self, tmp_path: Path) -> None:
        path = moving_clip(tmp_path / "long.mp4", 160, 120, frame_rate=5, duration_s=40, audio_channels=1)
        whole = read_audio(path).samples
        part = read_audio(path, start_s=30, duration_s=2).samples
        assert np.abs(part - whole[30 * 48000 : 32 * 48000]).max() < 1e-3

    @pytest.mark.parametrize("name", ["with-sound.mp4", "surround.mkv"])
    def test_mono_is_one_channel_and_as_long(self, clips: Clips, name: str) -> None:
        whole, mono = read_audio(clips(name)), read_audio(clips(name), mono=True)
        assert mono.samples.shape == (len(whole.samples), 1)
        assert np.allclose(mono.samples[:, 0], whole.samples.mean(axis=1), atol=1e-6)

    @SOME
    @given(rate=st.sampled_from([8000, 16000, 22050, 44100, 96000]))
    def test_resampling_keeps_duration_and_pitch(self, tmp_path: Path, rate: int) -> None:
        clip = read_audio(sound_file(tmp_path / "tone.wav"), sample_rate=rate)
        assert clip.sample_rate == rate and abs(len(clip.samples) - 2 * rate) <= 2
        spectrum = np.abs(np.fft.rfft(clip.samples[:, 0]))
        assert spectrum.argmax() / 2 == pytest.approx(220, abs=1)

    def test_blocks_join_to_the_whole_and_stay_small(self, clips: Clips) -> None:
        blocks = [block.samples for block in stream_audio(clips("with-sound.mp4"))]
        assert np.array_equal(np.concatenate(blocks), read_audio(clips("with-sound.mp4")).samples)
        assert max(map(len, blocks)) < 2 * 48000

    def test_a_gap_in_the_sound_is_filled_with_silence(self, tmp_path: Path) -> None:
        path = tmp_path / "gap.mkv"
        with av.open(str(path), "w") as container:
            sound = container.add_stream("pcm_s16le", rate=48000, layout="mono")
            for begin in (0, 96000):
                block = av.AudioFrame.from_ndarray(np.full((1, 48000), 9000, np.int16), "s16", "mono")
                block.sample_rate, block.time_base, block.pts = 48000, Fraction(1, 48000), begin
                container.mux(sound.encode(block))
        samples = read_audio(path).samples[:, 0]
        assert len(samples) == 3 * 48000
        assert samples[47000] > 0.2 and samples[97000] > 0.2 and np.abs(samples[48100:95900]).max() == 0

    def test_a_clock_that_is_set_back_loses_no_sound(self, tmp_path: Path) -> None:
        path = tmp_path / "reset.ts"
        halves = [moving_clip(tmp_path / f"{n}.ts", duration_s=2, audio_channels=1).read_bytes() for n in range(2)]
        path.write_bytes(b"".join(halves))
        assert float(read_audio(path).duration_s) == pytest.approx(4, abs=0.2)

    def test_a_gap_beyond_the_limit_is_refused_before_it_is_filled(self, tmp_path: Path) -> None:
        path = tmp_path / "gap.mkv"
        with av.open(str(path), "w") as container:
            sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            for begin in (0, 8000 * 3000):
                block = av.AudioFrame.from_ndarray(np.full((1, 8000), 9000, np.int16), "s16", "mono")
                block.sample_rate, block.time_base, block.pts = 8000, Fraction(1, 8000), begin
                container.mux(sound.encode(block))
        with pytest.raises(MediaLimitError):
            read_audio(path, limits=MediaLimits(max_duration_s=2000))
        assert len(read_audio(path, start_s=2990).samples) == 8000 * 11

    def test_asking_beyond_the_end_says_so(self, clips: Clips) -> None:
        with pytest.raises(ClipTooShortError, match="start earlier"):
            read_audio(clips("with-sound.mp4"), start_s=60)

    def test_what_makes_no_sense_is_refused(self) -> None:
        for wrong in ({"sample_rate": 0}, {"start_s": -1}, {"duration_s": 0}):
            with pytest.raises(ParameterError):
                AudioRequest(**wrong)  # type: ignore[arg-type]
        for samples in (np.zeros(5, np.float32), np.zeros((5, 1)), np.zeros((5, 0), np.float32)):
            with pytest.raises(ParameterError):
                AudioClip(samples, 48000)  # type: ignore[arg-type]


class TestReplacingASoundtrack:
    @SOME
    @given(
        name=st.sampled_from(["h264.mp4", "hevc.mp4", "h264.mkv", "vp9.webm", "mpeg4.avi", "uneven.mkv", "mpeg2.ts"]),
        suffix=st.sampled_from([".mp4", ".mkv"]),
        sound_s=st.floats(0.1, 4),
        channels=st.integers(1, 2),
    )
    def test_the_pictures_packets_are_untouched(
        self, clips: Clips, tmp_path: Path, name: str, suffix: str, sound_s: float, channels: int
    ) -> None:
        source, out = clips(name), tmp_path / f"out{suffix}"
        replace_soundtrack(source, AudioClip(tone(sound_s, channels), 48000), out)
        before, after = packets_of(source), packets_of(out)
        assert [data for data, _ in after] == [data for data, _ in before]
        shift = before[0][1] - after[0][1]
        assert all(abs(b[1] - a[1] - shift) <= Fraction(1, 1000) for b, a in zip(before, after, strict=True))

    @pytest.mark.parametrize("name", ["h264.mp4", "uneven.mkv", "mpeg2.ts", "turned-right.mp4", "h264.flv"])
    def test_the_film_looks_the_same_at_the_same_times(self, clips: Clips, tmp_path: Path, name: str) -> None:
        replace_soundtrack(clips(name), AudioClip(clicking(), 48000), tmp_path / "out.mp4")
        with VideoReader(clips(name)) as old, VideoReader(tmp_path / "out.mp4") as new:
            for before, after in zip(old.frames(), new.frames(), strict=True):
                assert abs(before.time_s - after.time_s) <= Fraction(1, 1000)
                assert np.array_equal(before.pixels, after.pixels)
        assert click_s(read_audio(tmp_path / "out.mp4")) == pytest.approx(CLICK_S, abs=0.002)

    def test_sound_is_cut_at_the_end_of_the_picture(self, clips: Clips, tmp_path: Path) -> None:
        replace_soundtrack(clips("h264.mp4"), AudioClip(tone(9), 48000), tmp_path / "out.mp4")
        sound = read_audio(tmp_path / "out.mp4")
        assert float(sound.duration_s) == pytest.approx(FRAMES / 25, abs=0.03)

    def test_a_file_of_music_or_another_film_can_be_laid(self, clips: Clips, tmp_path: Path) -> None:
        for sound in (sound_file(tmp_path / "tone.wav"), clips("surround.mkv")):
            replace_soundtrack(clips("with-sound.mp4"), sound, tmp_path / "out.mp4")
            laid, wanted = read_audio(tmp_path / "out.mp4", mono=True), read_audio(sound, mono=True)
            both = min(len(laid.samples), len(wanted.samples))
            assert np.corrcoef(laid.samples[:both, 0], wanted.samples[:both, 0])[0, 1] > 0.95

    def test_the_index_stands_in_front(self, clips: Clips, tmp_path: Path) -> None:
        replace_soundtrack(clips("h264.mp4"), AudioClip(tone(2), 48000), tmp_path / "out.mp4")
        data = (tmp_path / "out.mp4").read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")

    def test_a_picture_that_does_not_fit_is_refused_and_nothing_is_left(self, clips: Clips, tmp_path: Path) -> None:
        for name, out in (("wmv2.wmv", "out.mp4"), ("still.png", "out.mp4"), ("h264.mp4", "out.webm")):
            with pytest.raises(MediaError):
                replace_soundtrack(clips(name), AudioClip(tone(1), 48000), tmp_path / out)
        with pytest.raises(NoAudioTrackError):
            replace_soundtrack(clips("h264.mp4"), clips("h264.mkv"), tmp_path / "out.mp4")
        assert list(tmp_path.iterdir()) == []

    def test_the_source_may_be_replaced_by_the_result(self, tmp_path: Path) -> None:
        film = moving_clip(tmp_path / "film.mp4", duration_s=1)
        before = packets_of(film)
        replace_soundtrack(film, AudioClip(tone(1), 48000), film)
        assert [data for data, _ in packets_of(film)] == [data for data, _ in before]
        assert probe(film).audio is not None
