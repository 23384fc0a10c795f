"""Writing films: exact times, odd sizes, sound; and nothing left when it goes wrong."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import CancelledError, MediaError, ParameterError
from core.media import AudioClip, EncodeOptions, VideoReader, probe, read_audio, write_audio, write_video
from tests.factories import number_of, numbered_picture, numbered_pictures, tone

RATES = st.sampled_from([Fraction(r) for r in (1, 12, 25, 60)] + [Fraction(24000, 1001), Fraction(30000, 1001)])
SOME = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@SOME
@given(rate=RATES, count=st.integers(1, 40), width=st.integers(64, 99), height=st.integers(48, 67))
def test_every_frame_comes_back_at_its_exact_time(
    tmp_path: Path, rate: Fraction, count: int, width: int, height: int
) -> None:
    write_video(tmp_path / "film.mp4", numbered_pictures(count, width, height), rate)
    with VideoReader(tmp_path / "film.mp4") as reader:
        frames = list(reader.frames())
    assert [frame.time_s for frame in frames] == [n / rate for n in range(count)]
    assert [number_of(frame.pixels[:height, :width]) for frame in frames] == list(range(count))
    assert reader.info.frame_rate == rate and reader.info.duration_s == count / rate


def test_odd_sizes_are_padded_by_repeating_the_last_row_and_column(tmp_path: Path) -> None:
    picture = numbered_picture(3, 99, 51)
    write_video(tmp_path / "film.mp4", [picture] * 2, Fraction(25), options=EncodeOptions(crf=1))
    with VideoReader(tmp_path / "film.mp4") as reader:
        pixels = next(reader.frames()).pixels
    assert pixels.shape == (52, 100, 3)
    padded = np.pad(picture, ((0, 1), (0, 1), (0, 0)), mode="edge")
    assert np.abs(pixels[-2:].astype(int) - padded[-2:]).mean() < 12


def test_the_file_is_h264_yuv420p_bt709_with_its_index_in_front(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", numbered_pictures(9), Fraction(25), AudioClip(tone(0.36, 2), 48000))
    data = (tmp_path / "film.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    info = probe(tmp_path / "film.mp4")
    assert (info.codec, info.pixel_format, info.audio and info.audio.codec) == ("h264", "yuv420p", "aac")
    with av.open(str(tmp_path / "film.mp4")) as container:
        context = container.streams.video[0].codec_context
        tags = context.colorspace, context.color_primaries, context.color_trc, context.color_range
    assert tags == (1, 1, 1, 1)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_written_along_comes_back_in_place(tmp_path: Path, channels: int, suffix: str) -> None:
    samples = tone(2, channels)
    samples[:24000] = 0  # half a second of silence
    write_video(tmp_path / f"film{suffix}", numbered_pictures(50), Fraction(25), AudioClip(samples, 48000))
    read = read_audio(tmp_path / f"film{suffix}")
    assert read.samples.shape[1] == channels
    assert abs(len(read.samples) - 96000) <= 1024
    assert np.abs(read.samples[:23000]).max() < 0.02
    loud = np.sqrt((read.samples[26000:90000] ** 2).mean(axis=0)) if channels < 6 else None  # the LFE is low-passed
    assert loud is None or np.allclose(loud, 0.25 / np.sqrt(2), rtol=0.1)


def test_sound_may_come_in_pieces(tmp_path: Path) -> None:
    whole = tone(2, 2)
    pieces = [AudioClip(whole[begin : begin + 7001], 48000) for begin in range(0, len(whole), 7001)]
    write_video(tmp_path / "pieces.mp4", numbered_pictures(50), Fraction(25), iter(pieces))
    write_video(tmp_path / "whole.mp4", numbered_pictures(50), Fraction(25), AudioClip(whole, 48000))
    one, other = read_audio(tmp_path / "pieces.mp4"), read_audio(tmp_path / "whole.mp4")
    assert one.samples.shape == other.samples.shape and np.abs(one.samples - other.samples).max() < 1e-3


@pytest.mark.parametrize("error", [RuntimeError("out of paint"), CancelledError("Stopped at your request.")])
def test_an_error_or_a_cancel_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: Exception) -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        yield from numbered_pictures(30)
        raise error

    (tmp_path / "film.mp4").write_bytes(b"the old one")
    with pytest.raises(type(error), match=str(error)):
        write_video(tmp_path / "film.mp4", frames(), Fraction(25))
    assert files_in(tmp_path) == {"film.mp4"}
    assert (tmp_path / "film.mp4").read_bytes() == b"the old one"


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    picture = numbered_picture(0)
    with pytest.raises(ParameterError, match="no frames"):
        write_video(tmp_path / "film.mp4", [], Fraction(25))
    with pytest.raises(ParameterError, match="one size"):
        write_video(tmp_path / "film.mp4", [picture, picture[:50]], Fraction(25))
    with pytest.raises(ParameterError, match="frame rate"):
        write_video(tmp_path / "film.mp4", [picture], Fraction(0))
    with pytest.raises(ParameterError, match="suffix"):
        write_video(tmp_path / "film.doc", [picture], Fraction(25))
    with pytest.raises(ParameterError, match="does not exist"):
        write_video(tmp_path / "nowhere" / "film.mp4", [picture], Fraction(25))
    with pytest.raises(ParameterError, match="channels"):
        write_video(tmp_path / "film.mp4", [picture], Fraction(25), AudioClip(np.zeros((9, 7), np.float32), 48000))
    with pytest.raises((ParameterError, MediaError)):
        write_video(tmp_path / "film.mp4", [picture], Fraction(25), options=EncodeOptions(preset="no such"))
    assert files_in(tmp_path) == set()


@given(crf=st.integers(-20, 80))
def test_quality_is_checked_where_it_is_made(crf: int) -> None:
    if 0 <= crf <= 51:
        assert EncodeOptions(crf=crf).crf == crf
    else:
        with pytest.raises(ParameterError):
            EncodeOptions(crf=crf)


@SOME
@given(rate=st.sampled_from([8000, 16000, 44100, 48000]), channels=st.integers(1, 2), count=st.integers(1, 5000))
def test_a_wav_file_keeps_every_sample(tmp_path: Path, rate: int, channels: int, count: int) -> None:
    samples = np.random.default_rng(count).uniform(-1, 1, (count, channels)).astype(np.float32)
    write_audio(tmp_path / "sound.wav", AudioClip(samples, rate))
    read = read_audio(tmp_path / "sound.wav")
    assert read.sample_rate == rate and read.samples.shape == samples.shape
    assert np.abs(read.samples - samples).max() <= 2 / 32768
