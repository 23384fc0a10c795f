"""A film written again keeps its pictures, their times and its sound's format; nothing is left if it goes wrong."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import CancelledError, ClipTooShortError, ParameterError
from core.media import (
    AudioClip,
    EncodeOptions,
    Rewriting,
    Shown,
    Timeline,
    VideoReader,
    probe,
    read_audio,
    rewrite,
    rewrite_video,
    stream_audio,
)
from core.runtime import CancelToken, cancellable, silent
from tests.factories import animated_picture, moving_clip, number_of, still_picture, tone

Pixels = NDArray[np.uint8]
ROOT = Path(__file__).parents[2]
RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]
UNEVEN = [Fraction(n * 40 + 13 * (n % 3), 1000) for n in range(30)]
ORDERS = {
    "loop": [*range(30), *range(30), *range(7)],
    "there and back": [*range(30), *range(28, 0, -1), *range(30), *range(28, 20, -1)],
    "hold": [*range(30), *[29] * 12],
    "still": [4] * 10,
    "skipping": [3, 9, 27, 1, 28, 0],
}
QUICK = EncodeOptions(preset="ultrafast")


def unchanged(_: int, pixels: Pixels) -> Pixels:
    return pixels


def rewritten(source: Path, change: Callable[[int, Pixels], Pixels] = unchanged, **how: object) -> Path:
    """The film written again beside itself."""
    out = source.with_name(f"{source.stem}-new.mp4")
    rewrite_video(source, out, change, Rewriting(**{"options": QUICK, **how}))  # type: ignore[arg-type]
    return out


def times_of(path: Path) -> list[Fraction]:
    with VideoReader(path) as reader:
        return [frame.time_s for frame in reader.frames()]


def numbers_of(path: Path) -> list[int]:
    with VideoReader(path) as reader:
        return [number_of(frame.pixels) for frame in reader.frames()]


def planned(sources: list[int], step_s: Fraction = Fraction(1, 25)) -> Timeline:
    return Timeline(tuple(Shown(source, n * step_s) for n, source in enumerate(sources)), len(sources) * step_s)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return moving_clip(tmp_path / "film.mp4", duration_s=1.2, audio_channels=2)


class TestTimes:
    @pytest.mark.parametrize("rate", RATES, ids=str)
    def test_every_picture_keeps_its_time_and_its_number(self, tmp_path: Path, rate: Fraction) -> None:
        source = moving_clip(tmp_path / "film.mp4", frame_rate=rate, duration_s=float(40 / rate))
        out = rewritten(source)
        assert times_of(out) == times_of(source) == [n / rate for n in range(40)]
        assert numbers_of(out) == list(range(40))
        assert probe(out).frame_rate == rate and probe(out).duration_s == 40 / rate

    @pytest.mark.parametrize("name", ["film.mkv", "film.mp4"])
    def test_an_uneven_film_stays_as_uneven(self, tmp_path: Path, name: str) -> None:
        source = moving_clip(tmp_path / name, times_s=UNEVEN)
        out = rewritten(source)
        assert times_of(out) == times_of(source) == UNEVEN
        assert probe(out).variable_frame_rate
        assert abs(probe(out).duration_s - probe(source).duration_s) <= Fraction(1, 1000)

    def test_the_last_picture_lasts_as_long_as_it_is_told(self, film: Path) -> None:
        """A muxer that has to guess would take the distance of the one before."""
        shown = (Shown(0, Fraction(0)), Shown(1, Fraction(1, 10)), Shown(2, Fraction(2, 10)))
        out = rewritten(film, timeline=Timeline(shown, Fraction(2)))
        assert probe(out).duration_s == 2
        assert times_of(out) == [shown.time_s for shown in shown]

    def test_an_animation_keeps_its_delays(self, tmp_path: Path) -> None:
        source = animated_picture(tmp_path / "film.webp", 6, [40, 80, 120, 40, 80, 200])
        out = rewritten(source)
        assert times_of(out) == [Fraction(t, 1000) for t in (0, 40, 120, 240, 280, 360)]
        assert probe(out).duration_s == Fraction(560, 1000)


class TestPictures:
    @pytest.mark.parametrize(
        "made",
        [
            {"rotation": -90},
            {"rotation": 180},
            {"pixel_format": "yuv420p10le"},
            {"width": 161, "height": 121, "codec": "ffv1"},
            {"sample_aspect_ratio": Fraction(4, 3)},
            {"interlaced": True},
            {"options": {"bf": "3"}},
        ],
        ids=lambda made: "-".join(made),
    )
    def test_whatever_the_source_is_the_new_film_shows_the_same(self, tmp_path: Path, made: dict[str, object]) -> None:
        name = "film.mkv" if "codec" in made else "film.mp4"
        source = moving_clip(tmp_path / name, duration_s=0.8, **made)  # type: ignore[arg-type]
        out = rewritten(source, options=EncodeOptions(crf=1))
        with VideoReader(source) as one, VideoReader(out) as other:
            pairs = list(zip(one.frames(), other.frames(), strict=True))
            info = other.info
        height, width = pairs[0][0].pixels.shape[:2]
        assert (info.width, info.height) == (width + width % 2, height + height % 2)
        assert (info.rotation, info.codec, info.pixel_format) == (0, "h264", "yuv420p")
        for before, after in pairs:
            difference = after.pixels[:height, :width].astype(float) - before.pixels
            assert 10 * np.log10(255**2 / (difference**2).mean()) > 30

    def test_the_change_is_told_the_number_and_given_the_pixels(self, film: Path) -> None:
        seen: list[tuple[int, int]] = []

        def darker(number: int, pixels: Pixels) -> Pixels:
            seen.append((number, number_of(pixels)))
            return pixels // 2

        out = rewritten(film, darker)
        assert seen == [(n, n) for n in range(30)]
        with VideoReader(film) as one, VideoReader(out) as other:
            before, after = next(one.frames()).pixels, next(other.frames()).pixels
        assert after.mean() == pytest.approx(before.mean() / 2, abs=3)

    def test_a_change_that_writes_into_its_picture_is_stopped(self, film: Path) -> None:
        """The same pixels may be shown again."""

        def spoil(_: int, pixels: Pixels) -> Pixels:
            pixels[:] = 0
            return pixels

        with pytest.raises(ValueError, match="read-only"):
            rewritten(film, spoil)

    def test_primaries_and_transfer_are_those_of_the_source(self, tmp_path: Path) -> None:
        params = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
        source = moving_clip(
            tmp_path / "film.mp4", duration_s=0.4, pixel_format="yuv420p10le", options={"x264-params": params}
        )
        with av.open(str(rewritten(source))) as container:
            context = container.streams.video[0].codec_context
            assert (context.color_primaries, context.color_trc, context.colorspace) == (9, 16, 1)

    def test_the_index_stands_in_front(self, film: Path) -> None:
        data = rewritten(film).read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


class TestTimeline:
    @pytest.mark.parametrize("name", ORDERS)
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
    def test_pictures_come_in_the_order_that_was_asked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
    ) -> None:
        """Backwards in chunks of four pictures, from keyframes that are eight apart."""
        monkeypatch.setattr(rewrite, "_HELD_BYTES", 4 * 160 * 120 * 3)
        source = moving_clip(tmp_path / f"film{suffix}", duration_s=1.2, keyframe_every=8)
        out = rewritten(source, timeline=planned(ORDERS[name]))
        assert numbers_of(out) == ORDERS[name]
        assert times_of(out) == [Fraction(n, 25) for n in range(len(ORDERS[name]))]

    def test_running_backwards_holds_few_pictures_and_decodes_each_keyframe_distance_once_a_chunk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rewrite, "_HELD_BYTES", 10 * 160 * 120 * 3)
        source = moving_clip(tmp_path / "film.mp4", duration_s=8, keyframe_every=10)
        with closing(rewrite.open_source(source, Rewriting().limits)) as film:
            pictures = rewrite._Pictures(film)
            pictures.at(199)
            forwards, held = film.decoded_frames, 0
            for number in range(198, -1, -1):
                pictures.at(number)
                held = max(held, len(pictures._held))
            assert forwards <= 201 and held == 10
            assert film.decoded_frames - forwards < 5 * 200

    def test_a_still_picture_needs_a_timeline_and_is_then_a_film(self, tmp_path: Path) -> None:
        source = still_picture(tmp_path / "still.png", 77)
        with pytest.raises(ParameterError, match="give a timeline"):
            rewritten(source)
        out = rewritten(source, timeline=planned([0] * 12))
        assert numbers_of(out) == [77] * 12 and probe(out).duration_s == Fraction(12, 25)

    def test_a_timeline_of_another_film_is_refused(self, film: Path) -> None:
        with pytest.raises(ClipTooShortError, match="has 30 pictures"):
            rewritten(film, timeline=planned([30]))

    @pytest.mark.parametrize("times", [[], [1], [0, 0], [0, 2, 1]])
    def test_times_must_ascend_from_zero(self, times: list[int]) -> None:
        with pytest.raises(ParameterError):
            Timeline(tuple(Shown(0, Fraction(time)) for time in times), Fraction(3))


class TestSound:
    @pytest.mark.parametrize("channels", [1, 2, 6])
    @pytest.mark.parametrize(("rate", "speech_s"), [(48000, 0.3), (16000, 2.0), (8000, 1.0)])
    def test_it_takes_the_form_of_the_films_own_and_ends_with_the_picture(
        self, tmp_path: Path, channels: int, rate: int, speech_s: float
    ) -> None:
        """Mono speech, shorter and longer than the film of 1.2 s."""
        source = moving_clip(tmp_path / "film.mp4", duration_s=1.2, audio_channels=channels)
        out = rewritten(source, audio=AudioClip(tone(speech_s, 1, rate), rate))
        before, after = probe(source).audio, probe(out).audio
        assert before is not None and after is not None
        assert (after.codec, after.sample_rate, after.channels) == ("aac", before.sample_rate, channels)
        heard = read_audio(out)
        assert abs(heard.duration_s - probe(out).duration_s) <= Fraction(1, 25)
        loud = np.abs(heard.samples[int(0.05 * 48000) : int(0.2 * 48000)]).max(axis=0) > 0.1
        assert loud.tolist() == {1: [True], 2: [True] * 2, 6: [False, False, True, False, False, False]}[channels]
        after_speech = heard.samples[round((speech_s + 0.1) * 48000) :]
        assert not len(after_speech) or np.abs(after_speech).max() < 0.01

    def test_a_film_without_sound_takes_the_sound_as_it_is(self, tmp_path: Path) -> None:
        source = moving_clip(tmp_path / "film.mp4", duration_s=1.2)
        info = probe(rewritten(source, audio=AudioClip(tone(1.2, 1, 8000), 8000))).audio
        assert info is not None and (info.sample_rate, info.channels) == (8000, 1)
        assert probe(rewritten(source)).audio is None

    @pytest.mark.parametrize("rate", [8000, 22050, 44100])
    def test_sound_and_picture_end_together_at_every_sample_rate(self, tmp_path: Path, rate: int) -> None:
        source = moving_clip(tmp_path / "film.mp4", duration_s=1.2)
        out = rewritten(source, audio=AudioClip(tone(3, 1, rate), rate))
        with av.open(str(out)) as container:
            ends = [Fraction(stream.duration or 0) * Fraction(stream.time_base or 0) for stream in container.streams]
        assert abs(ends[0] - ends[1]) <= Fraction(1, 25)

    def test_the_soundtrack_itself_may_be_laid_under_again(self, film: Path) -> None:
        out = rewritten(film, audio=stream_audio(film))
        one, other = read_audio(film), read_audio(out)
        count = min(len(one.samples), len(other.samples)) - 2048
        shift = [
            float(np.abs(one.samples[2048:count] - other.samples[2048 + d : count + d]).mean()) for d in (0, 500, -500)
        ]
        assert shift[0] < 0.02 < min(shift[1:])

    def test_no_samples_at_all_are_silence(self, film: Path) -> None:
        heard = read_audio(rewritten(film, audio=AudioClip(np.zeros((0, 1), np.float32), 16000)))
        assert heard.samples.shape[1] == 2 and np.abs(heard.samples).max() < 1e-3
        assert abs(heard.duration_s - Fraction(12, 10)) <= Fraction(1, 25)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tags_are_in_the_file(film: Path, suffix: str) -> None:
    out = film.with_name(f"out{suffix}")
    tags = {"comment": "The mouth was made by a machine.", "made_with": "a lip-sync tool, 1.0"}
    rewrite_video(film, out, unchanged, Rewriting(tags=tags, options=QUICK))
    with av.open(str(out)) as container:
        found = {name.lower(): value for name, value in container.metadata.items()}
    assert found.items() >= tags.items()


class TestStopping:
    def test_progress_is_told_of_every_picture(self, film: Path) -> None:
        told: list[tuple[int, int, str]] = []
        rewrite_video(film, film.with_name("out.mp4"), unchanged, progress=lambda *report: told.append(report))
        assert told == [(n, 30, "film.mp4") for n in range(30)]

    @pytest.mark.parametrize("how", ["cancelled", "broken", "interrupted"])
    def test_a_film_that_is_not_finished_leaves_the_old_file_and_nothing_else(self, film: Path, how: str) -> None:
        token, out = CancelToken(), film.with_name("out.mp4")
        out.write_bytes(b"the old one")
        errors = {"broken": RuntimeError("out of paint"), "interrupted": KeyboardInterrupt()}

        def change(number: int, pixels: Pixels) -> Pixels:
            if number == 20:
                token.cancel()
                if how in errors:
                    raise errors[how]
            return pixels

        with pytest.raises((CancelledError, RuntimeError, KeyboardInterrupt)):
            rewrite_video(film, out, change, Rewriting(audio=stream_audio(film)), cancellable(silent, token))
        assert {path.name for path in film.parent.iterdir()} == {"film.mp4", "out.mp4"}
        assert out.read_bytes() == b"the old one"

    def test_a_process_stopped_from_the_keyboard_leaves_nothing(self, film: Path) -> None:
        program = (
            "import signal, sys; from core.media import rewrite_video\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
            "def change(number, pixels):\n"
            "    print(number, flush=True)\n"
            "    sys.stdin.readline() if number == 20 else None\n"
            "    return pixels\n"
            "rewrite_video(sys.argv[1], sys.argv[2], change)\n"
        )
        command = [sys.executable, "-c", program, str(film), str(film.with_name("out.mp4"))]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            assert "20\n" in iter(process.stdout.readline, "")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) != 0
        assert {path.name for path in film.parent.iterdir()} == {"film.mp4"}

    def test_a_film_may_be_written_over_itself(self, film: Path) -> None:
        assert rewrite_video(film, film, unchanged, Rewriting(options=QUICK)) == 30
        assert numbers_of(film) == list(range(30))


def test_sound_comes_as_it_is_needed(film: Path) -> None:
    """Ten minutes of sound that cannot all be in memory: it is asked for along with the picture."""
    asked: list[int] = []

    def clips() -> Iterator[AudioClip]:
        for second in range(600):
            asked.append(second)
            yield AudioClip(tone(1, 1, 8000), 8000)

    rewritten(film, audio=clips())
    assert max(asked) <= 3
