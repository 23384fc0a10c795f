"""One contract for every container and codec: what `VideoReader` promises, checked against decoding everything."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from core.errors import ParameterError
from core.media import Frame, VideoReader, probe
from core.media.timebase import Seconds
from tests.factories import number_of, remuxed
from tests.media.conftest import FILMS, FRAMES, KINDS, STILLS, UNEVEN, Clips

TICK = Fraction(1, 1000)


def slow_twin(frames: list[Frame], times: list[Seconds]) -> list[Frame]:
    """Decode everything, then pick: the last frame at or before each time, or the first."""
    return [([frame for frame in frames if frame.time_s <= time] or frames[:1])[-1] for time in times]


def same(mine: list[Frame], theirs: list[Frame]) -> bool:
    pairs = zip(mine, theirs, strict=True)
    return all(a.time_s == b.time_s and np.array_equal(a.pixels, b.pixels) for a, b in pairs)


@pytest.fixture(params=KINDS, scope="module")
def clip(request: pytest.FixtureRequest, clips: Clips) -> Path:
    return clips(request.param)


@pytest.fixture(scope="module")
def everything(clip: Path) -> list[Frame]:
    with VideoReader(clip) as reader:
        return list(reader.frames())


class TestEveryKindOfFile:
    def test_gives_every_frame_once_and_in_order(self, clip: Path, everything: list[Frame]) -> None:
        expected = [0] if clip.name in STILLS else list(range(FRAMES))
        assert [number_of(frame.pixels) for frame in everything] == expected

    def test_starts_at_zero_and_its_times_rise(self, everything: list[Frame]) -> None:
        times = [frame.time_s for frame in everything]
        assert times[0] == 0 and all(before < after for before, after in pairwise(times))

    def test_times_are_those_that_were_written(self, clip: Path, everything: list[Frame]) -> None:
        if clip.name.startswith("uneven"):
            written = UNEVEN
        else:
            rate = probe(clip).frame_rate
            written = [number / rate for number in range(len(everything))]
        assert all(abs(frame.time_s - time) < TICK for frame, time in zip(everything, written, strict=True))

    def test_lasts_until_the_end_of_its_last_frame(self, clip: Path, everything: list[Frame]) -> None:
        info = probe(clip)
        if info.is_still:
            assert info.duration_s == 0
        else:
            assert 0 < info.duration_s - everything[-1].time_s <= 1 / info.frame_rate + 2 * TICK

    def test_pixels_have_the_size_that_the_probe_told(self, clip: Path, everything: list[Frame]) -> None:
        info = probe(clip)
        assert {frame.pixels.shape for frame in everything} == {(info.height, info.width, 3)}

    def test_pixels_have_the_size_asked_for(self, clip: Path) -> None:
        with VideoReader(clip, size=(96, 64)) as reader:
            first = next(reader.frames())
        assert first.pixels.shape == (64, 96, 3) and number_of(first.pixels) == 0

    def test_one_pass_decodes_each_frame_once(self, clip: Path, everything: list[Frame]) -> None:
        with VideoReader(clip) as reader:
            list(reader.frames())
            assert (reader.decoded_frames, reader.damaged_packets) == (len(everything), 0)

    @pytest.mark.parametrize("seeking", [True, False])
    def test_frames_at_times_are_the_slow_twins(self, clip: Path, everything: list[Frame], seeking: bool) -> None:
        times: list[Seconds] = [Fraction(n, 7) for n in (0, 0, 1, 2, 6, 11, 11, 14, 16)] + [99]
        with VideoReader(clip, seeking=seeking) as reader:
            assert same(list(reader.frames_at(times)), slow_twin(everything, times))

    @pytest.mark.parametrize("time_s", [Fraction(3, 2), Fraction(2), Fraction(233, 100)])
    def test_a_jump_lands_on_the_frame_that_decoding_reaches(
        self, clip: Path, everything: list[Frame], time_s: Fraction
    ) -> None:
        with VideoReader(clip) as reader:
            assert same(list(reader.frames_at([time_s])), slow_twin(everything, [time_s]))
            assert reader.decoded_frames <= len(everything)

    @pytest.mark.parametrize("rate", [Fraction(1), Fraction(30000, 1001), Fraction(7, 2)])
    def test_frames_at_a_rate_are_the_slow_twins(self, clip: Path, everything: list[Frame], rate: Fraction) -> None:
        with VideoReader(clip) as reader:
            end = reader.info.duration_s
            times: list[Seconds] = [n / rate for n in range(200) if n == 0 or n / rate < end]
            assert same(list(reader.frames_at_rate(rate)), slow_twin(everything, times))

    def test_each_frame_shown_at_its_own_time(self, clip: Path, everything: list[Frame]) -> None:
        with VideoReader(clip) as reader:
            assert same(list(reader.frames_at([frame.time_s for frame in everything])), everything)

    def test_a_second_pass_gives_the_same(self, clip: Path, everything: list[Frame]) -> None:
        with VideoReader(clip) as reader:
            next(reader.frames_at([1]))
            next(reader.frames())
            assert same(list(reader.frames()), everything)

    @pytest.mark.parametrize("starts_s", [(0, 1, 2), (0, 2), (1,), (Fraction(1, 2), Fraction(8, 5)), (99,)])
    def test_spans_hold_the_frames_of_their_time(
        self, clip: Path, everything: list[Frame], starts_s: tuple[Seconds, ...]
    ) -> None:
        with VideoReader(clip) as reader:
            nominal = reader.info.nominal
            for start_s, span in zip(starts_s, reader.spans(starts_s), strict=True):
                own = [frame for frame in everything if start_s <= nominal(frame.time_s) < start_s + 1]
                mine = [Frame(frame.time_s, frame.pixels()) for frame in span]
                assert same(mine, own or slow_twin(everything, [start_s]))
            assert reader.decoded_frames <= len(everything)

    def test_spans_one_after_the_other_hold_every_frame_once(self, clip: Path, everything: list[Frame]) -> None:
        with VideoReader(clip) as reader:
            starts = [Fraction(n, 2) for n in range(5) if Fraction(n, 2) <= everything[-1].time_s]
            read = [frame.time_s for span in reader.spans(starts, Fraction(1, 2)) for frame in span]
        assert read == [frame.time_s for frame in everything]

    def test_a_frame_not_converted_has_the_brightness_of_its_pixels(self, clip: Path) -> None:
        with VideoReader(clip) as reader:
            frame = next(next(reader.spans([0])))
            plane, black, white = frame.luma()
            brightness = (plane.astype(float) - black) * 255 / (white - black)
            assert plane.shape == (reader.info.height, reader.info.width)
            assert np.abs(brightness - frame.pixels() @ [0.299, 0.587, 0.114]).mean() < 1.5

    def test_a_frame_not_converted_gives_the_size_asked_for_and_stays_valid(
        self, clip: Path, everything: list[Frame]
    ) -> None:
        with VideoReader(clip) as reader:
            held = [frame for span in reader.spans([0]) for frame in span]
            assert held[0].pixels((96, 64)).shape == (64, 96, 3)
            assert all(np.array_equal(a.pixels(), b.pixels) for a, b in zip(held, everything, strict=False))

    def test_two_readers_at_once_do_not_disturb_each_other(self, clip: Path, everything: list[Frame]) -> None:
        def read(start_s: Fraction) -> list[Frame]:
            with VideoReader(clip) as reader:
                return list(reader.frames_at([start_s + frame.time_s for frame in everything]))

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(read, (Fraction(0), Fraction(1, 2)))
        assert same(first, everything)
        assert same(second, slow_twin(everything, [Fraction(1, 2) + frame.time_s for frame in everything]))


@pytest.mark.parametrize("name", ["h264.mp4", "h264-no-b-frames.mp4", "hevc.mp4", "h264.mkv", "mpeg4.avi", "vp9.webm"])
def test_a_jump_to_the_end_decodes_only_the_last_keyframes_group(clips: Clips, name: str) -> None:
    with VideoReader(clips(name)) as reader:
        assert number_of(next(reader.frames_at([99])).pixels) == FRAMES - 1
        assert reader.decoded_frames <= FRAMES // 2


@pytest.mark.parametrize(
    ("name", "rotation", "size"),
    [("turned-right.mp4", 90, (160, 120)), ("turned-left.mov", 270, (160, 120)), ("upside-down.mp4", 180, (160, 120))],
)
def test_the_display_matrix_is_told_and_applied(clips: Clips, name: str, rotation: int, size: tuple[int, int]) -> None:
    info = probe(clips(name))
    assert (info.rotation, (info.width, info.height)) == (rotation, size)


def test_uneven_films_are_known_and_even_ones_are_not_taken_for_them(clips: Clips) -> None:
    assert {name for name in FILMS if probe(clips(name)).variable_frame_rate} == {"uneven.mkv", "uneven.mp4"}


def test_the_frame_rate_of_an_uneven_film_is_its_average(clips: Clips) -> None:
    for name in ("uneven.mkv", "uneven.mp4"):
        info = probe(clips(name))
        assert float(info.frame_rate) == pytest.approx(float(FRAMES / info.duration_s), rel=0.01)


@pytest.mark.parametrize("name", ["h264.mp4", "interlaced.mp4", "animation.webp"])
def test_a_new_pass_ends_the_old_one_and_closing_ends_all(clips: Clips, name: str) -> None:
    with VideoReader(clips(name)) as reader:
        old = reader.frames()
        next(old), next(old)
        assert number_of(next(reader.frames_at([1])).pixels) == 25
        assert len(list(old)) < FRAMES // 2  # what the decoder still held, and no crash
        newer = reader.frames()
        next(newer)
    assert len(list(newer)) < FRAMES // 2
    with pytest.raises(ParameterError, match="closed"):
        next(reader.frames())


def test_times_must_ascend(clips: Clips) -> None:
    with VideoReader(clips("h264.mp4")) as reader, pytest.raises(ParameterError, match="sort the times"):
        list(reader.frames_at([1, Fraction(1, 2)]))


def test_spans_must_not_overlap(clips: Clips) -> None:
    with VideoReader(clips("h264.mp4")) as reader, pytest.raises(ParameterError, match="before the end"):
        list(reader.spans([0, Fraction(1, 2)]))


@pytest.mark.parametrize(("name", "kind"), [("h264.mp4", np.uint8), ("ten-bit.mp4", np.uint16)])
def test_a_plane_of_brightness_is_the_decoders_own_and_cannot_be_written(clips: Clips, name: str, kind: type) -> None:
    with VideoReader(clips(name)) as reader:
        frame = next(next(reader.spans([0])))
        plane = frame.luma().plane
        assert plane.dtype == kind and not plane.flags.writeable and np.shares_memory(plane, frame.luma().plane)


@pytest.mark.parametrize("name", ["ntsc.mp4", "h264.mp4", "uneven.mp4", "hevc.mp4"])
def test_a_remux_that_rounds_its_times_has_the_same_spans(clips: Clips, tmp_path: Path, name: str) -> None:
    starts = [Fraction(n, 5) for n in range(12)]
    with VideoReader(clips(name)) as reader, VideoReader(remuxed(clips(name), tmp_path / "film.mkv")) as other:
        mine, theirs = (
            [[number_of(frame.pixels()) for frame in span] for span in r.spans(starts, Fraction(1, 5))]
            for r in (reader, other)
        )
    assert mine == theirs
