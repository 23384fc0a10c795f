"""Watching a film: the right seconds, the right pictures of each, the same from memory and from any container."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import CancelledError
from core.media import EncodeOptions, VideoReader, probe, write_video
from core.runtime import CancelToken, cancellable, silent
from core.video_quality.config import QualityConfig
from core.video_quality.sampling import COURSE, SIDE, Window, window_of
from core.video_quality.watching import looks, shown_size, wanted_seconds, watch
from tests.factories import moving_clip, number_of, remuxed, still_picture

ROOT = Path(__file__).parents[2]
CONFIG = QualityConfig()
CHANGE = COURSE.index("change")
SHIFTS = [COURSE.index(name) for name in ("shift_across", "shift_down")]
STEADY = [n for n in range(len(COURSE)) if n not in SHIFTS]


def same(mine: list[Window], theirs: list[Window]) -> bool:
    return len(mine) == len(theirs) and all(
        a.start_s == b.start_s and np.array_equal(a.views, b.views) and np.array_equal(a.course, b.course)
        for a, b in zip(mine, theirs, strict=True)
    )


@pytest.fixture(scope="module")
def lossless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3.4 s in which nothing is lost but the rounding of the colours: 4:4:4, 8 bits, 320 × 240."""
    path = tmp_path_factory.mktemp("watching") / "film.mkv"
    return moving_clip(path, 320, 240, duration_s=3.4, codec="ffv1", pixel_format="yuv444p", seed=3)


@pytest.fixture(scope="module")
def pictures(lossless: Path) -> list[np.ndarray]:
    with VideoReader(lossless) as reader:
        return [frame.pixels for frame in reader.frames()]


def test_windows_of_a_file_are_those_of_its_pictures_in_memory(lossless: Path, pictures: list[np.ndarray]) -> None:
    windows = list(watch(lossless, CONFIG))
    assert [window.start_s for window in windows] == [0, 1, 2]
    for n, window in enumerate(windows):
        memory = window_of(pictures[25 * n : 25 * n + 25], Fraction(n))
        np.testing.assert_array_equal(window.views, memory.views)
        first = 1 if n else 0  # in memory nothing comes before the first picture
        apart = np.abs(window.course[first:] - memory.course[first:])
        assert apart[:, STEADY].max() < 0.01
        assert (apart[:, SHIFTS] < 0.05).mean() > 0.97  # two shifts can explain a picture equally well


def test_a_window_follows_the_one_before_only_where_the_seconds_do(lossless: Path) -> None:
    every, spread = (list(watch(lossless, QualityConfig(max_seconds=most))) for most in (3, 2))
    assert [window.start_s for window in spread] == [0, 2]
    assert [window.course[0, CHANGE] > 0 for window in every] == [False, True, True]
    assert [window.course[0, CHANGE] > 0 for window in spread] == [False, False]
    np.testing.assert_array_equal(every[2].course[1:], spread[1].course[1:])


@pytest.mark.parametrize(
    ("rate", "start", "numbers"),
    [(Fraction(25), 0, (12, 13)), (Fraction(24), 1, (35, 36)), (Fraction(30000, 1001), 1, (44, 45)), (1, 2, (2, 2))],
)
def test_the_picture_in_the_middle_is_looked_at(
    tmp_path: Path, rate: Fraction, start: int, numbers: tuple[int, int]
) -> None:
    path = moving_clip(tmp_path / "film.mkv", 224, 224, rate, 3.1 if rate > 1 else 3, "ffv1", pixel_format="yuv444p")
    with VideoReader(path) as reader:
        look = list(looks(reader, CONFIG))[start]
        first, second = ([f.pixels for f in reader.frames()][number] for number in numbers)
    assert number_of(look.picture) == numbers[0]
    np.testing.assert_array_equal(look.window.views, window_of([first, second]).views)


@pytest.mark.parametrize("kind", ["25.mp4", "ntsc.mp4", "no-b-frames.mp4", "uneven.mp4"])
def test_the_same_film_has_the_same_windows_again_and_in_another_container(tmp_path: Path, kind: str) -> None:
    uneven = [Fraction(n * 37 + 11 * (n % 4), 1000) for n in range(80)]
    settings: dict[str, dict[str, object]] = {
        "ntsc.mp4": {"frame_rate": Fraction(30000, 1001)},
        "no-b-frames.mp4": {"options": {"bf": "0"}},
        "uneven.mp4": {"times_s": uneven},
    }
    path = moving_clip(tmp_path / kind, duration_s=3.5, **settings.get(kind, {}))  # type: ignore[arg-type]
    windows = list(watch(path, CONFIG))
    assert len(windows) >= 2
    assert same(windows, list(watch(path, CONFIG)))
    assert same(windows, list(watch(remuxed(path, tmp_path / "remux.mkv"), CONFIG)))


def test_long_films_are_looked_at_evenly_and_short_ones_whole(tmp_path: Path) -> None:
    info = probe(moving_clip(tmp_path / "long.mkv", 16, 16, Fraction(1, 10), 7200))
    starts = wanted_seconds(info, 300)
    assert starts == list(range(12, 7200, 24)) and wanted_seconds(info, 10_000) == list(range(7200))
    short = probe(moving_clip(tmp_path / "short.mp4", duration_s=0.4))
    assert wanted_seconds(short, 300) == [0]
    (window,) = watch(tmp_path / "short.mp4", CONFIG)
    assert len(window.course) == 10


def test_a_still_picture_is_one_window_in_which_nothing_moves(tmp_path: Path) -> None:
    (window,) = watch(still_picture(tmp_path / "still.png", size=(300, 200)), CONFIG)
    assert window.course.shape == (1, len(COURSE)) and window.course[0, CHANGE] == 0
    np.testing.assert_array_equal(window.views[0], window.views[1])


@pytest.mark.parametrize(
    ("size", "display_height", "shown"),
    [
        ((640, 360), 0, None),
        ((1920, 1080), 0, None),
        ((3840, 2160), 0, (1920, 1080)),
        ((2160, 3840), 0, (1080, 1920)),
        ((640, 360), 720, (1280, 720)),
        ((640, 360), 180, (320, 180)),
        ((2000, 1), 1080, (8192, 4)),
    ],
)
def test_pictures_are_looked_at_as_on_a_common_screen_or_as_asked(
    tmp_path: Path, size: tuple[int, int], display_height: int, shown: tuple[int, int] | None
) -> None:
    path = still_picture(tmp_path / "still.png", size=size)
    assert shown_size(probe(path), display_height) == shown
    with VideoReader(path) as reader:
        (look,) = looks(reader, QualityConfig(display_height=display_height))
    assert look.picture.shape[1::-1] == (shown or size) and look.window.views.shape == (3, SIDE, SIDE, 3)


def test_watching_stops_when_it_is_cancelled(lossless: Path) -> None:
    token = CancelToken()
    windows = watch(lossless, CONFIG, cancellable(silent, token))
    next(windows)
    token.cancel()
    with pytest.raises(CancelledError):
        next(windows)


def test_progress_counts_the_seconds(lossless: Path) -> None:
    told: list[tuple[int, int, str]] = []
    list(watch(lossless, CONFIG, lambda *step: told.append(step)))
    assert told == [(n, 3, "film.mkv") for n in range(4)]


PROGRAM = """
import sys
from pathlib import Path
from core.video_quality.config import QualityConfig
from core.video_quality.watching import watch
count = sum(1 for _ in watch(Path(sys.argv[1]), QualityConfig()))
print(count, Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def peak_mb(path: Path, windows: int) -> float:
    """The peak of a process that watches a film, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    count, peak_kb = map(int, done.stdout.split())
    assert count == windows
    return peak_kb / 1024


def test_long_and_large_films_are_watched_in_bounded_memory(tmp_path: Path) -> None:
    tiny = peak_mb(moving_clip(tmp_path / "tiny.mkv", 16, 16, Fraction(5), 2), 2)
    long = peak_mb(moving_clip(tmp_path / "long.mkv", 16, 16, Fraction(1, 2), 7200), 300)
    assert long < tiny + 60
    plain = (np.full((4320, 7680, 3), n, np.uint8) for n in range(12))
    write_video(tmp_path / "large.mp4", plain, Fraction(6), options=EncodeOptions(preset="ultrafast"))
    frame_mb = 7680 * 4320 * 1.5 / 2**20
    assert peak_mb(tmp_path / "large.mp4", 2) < tiny + 30 * frame_mb  # the decoder holds some; decoded: 12 and RGB
