"""From files to scores: the curve, the faults and the worst moments of films that are known, and any odd input."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.errors import CancelledError, ClipTooShortError
from core.media import VideoReader, write_video
from core.runtime import CancelToken, cancellable, silent
from core.video_quality import QualityConfig, QualityScore, VideoQuality
from core.video_quality.findings import APART_S, MOST_MOMENTS, faults_of, worst_seconds
from core.video_quality.levels import LEVELS
from core.video_quality.pipeline import comparison
from core.video_quality.results import FAULTS, SecondScore
from core.video_quality.watching import watch
from tests.factories import animated_picture, moving_clip, numbered_picture, remuxed, still_picture
from tests.video_quality.scorer import REACH, Brightness

GREYS = [200, 60, 60, 180, 20, 230, 100]
FREEZE = FAULTS.index("freeze")
NONE = (0.0,) * len(FAULTS)


@pytest.fixture
def quality() -> VideoQuality:
    return VideoQuality(Brightness())


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds, each of one grey; second 2 stands still, the others flicker by a step."""
    path = tmp_path_factory.mktemp("greys") / "greys.mp4"
    shades = [grey + (0 if second == 2 else 4 * (n % 2)) for second, grey in enumerate(GREYS) for n in range(10)]
    write_video(path, (np.full((96, 128, 3), shade, np.uint8) for shade in shades), Fraction(10))
    return path


def test_the_curve_follows_the_seconds_and_the_score_their_mean(quality: VideoQuality, greys: Path) -> None:
    told = quality.score(greys)
    assert [second.start_s for second in told.per_second] == list(range(7))
    expected = [1 + 4 * grey / 255 for grey in GREYS]
    assert [second.score for second in told.per_second] == pytest.approx(expected, abs=0.1)
    assert told.score == pytest.approx(np.mean(expected), abs=0.1)
    assert told.score_100 == pytest.approx(25 * (told.score - 1)) and told.level == "fair"
    assert told.uncertainty == pytest.approx((told.score - REACH, told.score + REACH), abs=0.01)
    assert told.duration_s == 7 and told.path == str(greys)


def test_the_worst_moments_are_the_valleys_and_their_pictures_show_them(quality: VideoQuality, greys: Path) -> None:
    moments = quality.score(greys).worst
    assert [moment.time_s for moment in moments] == [4.5, 1.5, 6.5]
    for moment in moments:
        shown = np.asarray(Image.open(io.BytesIO(moment.picture)).convert("L"))
        assert shown.shape == (96, 128) and shown.mean() == pytest.approx(GREYS[int(moment.time_s)], abs=6)


def test_a_fault_is_told_with_its_time(quality: VideoQuality, greys: Path) -> None:
    (fault,) = quality.score(greys).faults
    assert fault.kind == "freeze" and fault.spans_s == ((2.0, 3.0),) and fault.certainty >= 0.5


def test_windows_are_judged_in_batches_and_the_batch_changes_nothing(greys: Path) -> None:
    small, large = (VideoQuality(Brightness(), QualityConfig(batch_windows=count)) for count in (3, 256))
    assert small.score(greys).per_second == large.score(greys).per_second
    assert isinstance(small.scorer, Brightness) and small.scorer.batches == [3, 3, 1]


def test_windows_in_memory_are_scored_as_those_of_the_file(quality: VideoQuality, greys: Path) -> None:
    verdict, seconds = quality.score_windows(watch(greys, quality.config))
    told = quality.score(greys)
    assert tuple(map(float, verdict.distribution)) == told.distribution and tuple(seconds) == told.per_second
    with pytest.raises(ClipTooShortError, match="no second"):
        quality.score_windows([])


def test_a_remux_scores_the_same(quality: VideoQuality, greys: Path, tmp_path: Path) -> None:
    first, second = quality.score(greys), quality.score(remuxed(greys, tmp_path / "greys.mkv"))
    assert (first.score, first.per_second, first.worst) == (second.score, second.per_second, second.worst)


def test_two_versions_differ_for_certain_only_beyond_both_uncertainties(quality: VideoQuality, tmp_path: Path) -> None:
    films = []
    for grey in (60, 110, 70):
        films.append(tmp_path / f"{grey}.mp4")
        write_video(films[-1], [np.full((64, 64, 3), grey, np.uint8)] * 20, Fraction(10))
    brighter, alike = quality.compare(films[0], films[1]), quality.compare(films[0], films[2])
    assert brighter.difference == pytest.approx(4 * 50 / 255, abs=0.1) and brighter.certain
    assert alike.difference > 0 and not alike.certain
    back = comparison(brighter.second, brighter.first)
    assert back.difference == -brighter.difference and back.certain


def test_of_many_files_bad_ones_are_named_and_the_rest_are_scored(
    quality: VideoQuality, greys: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.mp4").write_text("Dear all, " * 50)
    reports = list(quality.score_each([greys, tmp_path / "letter.mp4", tmp_path / "none.mp4", greys]))
    assert [report.score is not None for report in reports] == [True, False, False, True]
    assert "letter.mp4" in reports[1].error and "none.mp4" in reports[2].error


def test_scoring_stops_when_it_is_cancelled_and_keeps_what_was_finished(quality: VideoQuality, greys: Path) -> None:
    token = CancelToken()
    reports = quality.score_each([greys, greys], cancellable(silent, token))
    assert next(reports).score is not None
    token.cancel()
    with pytest.raises(CancelledError):
        next(reports)


curves = st.lists(st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.5]), min_size=1, max_size=40)


@given(scores=curves)
def test_worst_moments_are_valleys_apart_and_the_lowest_comes_first(scores: list[float]) -> None:
    seconds = [SecondScore(float(n), score, NONE) for n, score in enumerate(scores)]
    worst = worst_seconds(seconds)
    assert 1 <= len(worst) <= MOST_MOMENTS and scores[worst[0]] == min(scores)
    assert [scores[n] for n in worst] == sorted(scores[n] for n in worst)
    assert all(abs(a - b) >= APART_S for a in worst for b in worst if a != b)
    assert all(scores[n] <= min(scores[max(0, n - 1) : n + 2]) for n in worst)


@given(seen=st.lists(st.tuples(st.integers(1, 3), st.floats(0, 1)), min_size=1, max_size=30))
def test_spans_of_a_fault_cover_exactly_the_seconds_in_which_it_is_seen(seen: list[tuple[int, float]]) -> None:
    starts = np.cumsum([step for step, _ in seen])
    sure = {float(start): certainty for start, (_, certainty) in zip(starts, seen, strict=True)}
    seconds = [SecondScore(s, 3.0, (*NONE[:FREEZE], c, *NONE[FREEZE + 1 :])) for s, c in sure.items()]
    faults = faults_of(seconds, float(starts[-1]) + 0.5)
    covered = {s for fault in faults for s in sure for begin, end in fault.spans_s if begin <= s < end}
    assert covered == {s for s, certainty in sure.items() if certainty >= 0.5}
    for fault in faults:
        assert fault.certainty == max(sure.values())
        assert all(a[1] < b[0] for a, b in zip(fault.spans_s, fault.spans_s[1:], strict=False))
        assert all(begin < end <= starts[-1] + 0.5 for begin, end in fault.spans_s)


def black(path: Path) -> Path:
    write_video(path, [np.zeros((72, 96, 3), np.uint8)] * 30, Fraction(15))
    return path


def same_picture(path: Path) -> Path:
    write_video(path, [numbered_picture(5)] * 30, Fraction(10))
    return path


def high_dynamic_range(path: Path) -> Path:
    """Ten bits, BT.2020, PQ."""
    tags = "log-level=none:pools=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    return moving_clip(path, codec="libx265", pixel_format="yuv420p10le", options={"x265-params": tags})


def cinema(path: Path) -> Path:
    write_video(path, (np.full((4320, 7680, 3), 80 * n, np.uint8) for n in range(3)), Fraction(3))
    return path


ODD: dict[str, Callable[[Path], Path]] = {
    "black.mp4": black,
    "same.mp4": same_picture,
    "hdr.mp4": high_dynamic_range,
    "8k.mp4": cinema,
    "still.png": still_picture,
    "still.jpg": still_picture,
    "one-frame.mp4": lambda path: moving_clip(path, duration_s=1 / 25),
    "one-pixel.png": lambda path: still_picture(path, size=(1, 1)),
    "one-pixel.mkv": lambda path: moving_clip(path, 1, 1, codec="ffv1"),
    "one-row.png": lambda path: still_picture(path, size=(3000, 1)),
    "two-hours.mkv": lambda path: moving_clip(path, 16, 16, Fraction(1, 4), 7200),
    "turned.mp4": lambda path: moving_clip(path, rotation=-90),
    "transparent.webm": lambda path: moving_clip(path, alpha=True),
    "uneven.mp4": lambda path: moving_clip(path, times_s=[Fraction(n * 40 + 13 * (n % 3), 1000) for n in range(60)]),
    "gaps.mp4": lambda path: moving_clip(path, times_s=[Fraction(n * 1700, 1000) for n in range(6)]),
    "anamorphic.mp4": lambda path: moving_clip(path, sample_aspect_ratio=Fraction(64, 45)),
    "interlaced.mp4": lambda path: moving_clip(path, interlaced=True),
    "animation.webp": animated_picture,
    "animation.gif": animated_picture,
    "rgb.avi": lambda path: moving_clip(path, codec="rawvideo", pixel_format="bgr24"),
}


@pytest.mark.parametrize("name", ODD)
def test_every_odd_film_gets_a_finite_score(quality: VideoQuality, tmp_path: Path, name: str) -> None:
    told = quality.score(ODD[name](tmp_path / name))
    check(told)
    if name == "8k.mp4":
        (window,) = watch(tmp_path / name, quality.config)
        assert window.course[0, 0] < window.course[2, 0]
    if name == "two-hours.mkv":
        assert len(told.per_second) == 300 and told.per_second[-1].start_s > 7150
    if name in ("black.mp4", "same.mp4"):
        assert [fault.kind for fault in told.faults] == ["freeze"]


def check(told: QualityScore) -> None:
    """What holds for every score."""
    assert 1 <= told.uncertainty[0] <= told.score <= told.uncertainty[1] <= 5
    assert 0 <= told.score_100 <= 100 and told.level in LEVELS
    assert sum(told.distribution) == pytest.approx(1, abs=1e-5) and min(told.distribution) >= 0
    assert told.per_second and all(1 <= second.score <= 5 for second in told.per_second)
    assert 1 <= len(told.worst) <= MOST_MOMENTS and all(moment.picture[:2] == b"\xff\xd8" for moment in told.worst)
    times = [time for fault in told.faults for span in fault.spans_s for time in span]
    assert np.isfinite([told.seconds_taken, told.duration_s, *times]).all()


@pytest.mark.parametrize("name", ["hdr.mp4", "turned.mp4", "transparent.webm"])
def test_brightness_is_that_of_the_pictures_shown_whatever_the_format(tmp_path: Path, name: str) -> None:
    path = ODD[name](tmp_path / name)
    (window, *_) = watch(path, QualityConfig())
    with VideoReader(path) as reader:
        shown = [frame.pixels.mean() / 255 for frame, _ in zip(reader.frames(), range(25), strict=False)]
    assert window.course[:, 0] == pytest.approx(shown, abs=0.03)
