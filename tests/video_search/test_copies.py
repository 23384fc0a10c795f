"""What an edited copy shows is checked against its source, picture by picture; the bar codes tell the time."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ClipTooShortError, ParameterError
from core.media import VideoReader, probe
from core.video_search.copies import MAX_SIDE_PX, TRANSFORMS, Copy, make_copy
from tests.factories import moving_clip, number_of, still_picture

RATE, COUNT, SIZE = 10, 24, (128, 96)
NEAR = 12
"""Mean difference of pixel values that lossy coding may leave; other pictures of the clip differ by more than 25."""
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving_clip(tmp_path_factory.mktemp("source") / "source.mp4", *SIZE, Fraction(RATE), COUNT / RATE)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shorter than the source, so that it begins anew behind it."""
    return moving_clip(tmp_path_factory.mktemp("other") / "other.mp4", *SIZE, Fraction(RATE), 1.5, seed=7)


def pictures(path: Path, size: tuple[int, int] | None = None) -> list[NDArray[np.uint8]]:
    with VideoReader(path, size=size) as reader:
        return [frame.pixels for frame in reader.frames()]


def difference(one: NDArray[Any], two: NDArray[Any]) -> float:
    return float(np.abs(one.astype(float) - two.astype(float)).mean())


def copied(source: Path, transform: str, folder: Path, seed: int = 0, *others: Path) -> Copy:
    return make_copy(source, transform, folder / f"{transform}-{seed}.mp4", seed, others)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_copy_is_the_same_for_the_same_seed_and_another_for_another(
    transform: str, source: Path, other: Path, tmp_path: Path
) -> None:
    first, again, third = (
        make_copy(source, transform, tmp_path / f"{n}.mp4", seed, [other]) for n, seed in enumerate((0, 0, 1))
    )
    assert first.strengths == again.strengths
    assert np.array_equal(pictures(first.path), pictures(again.path))
    if transform not in {"flip", "reencode", "greyscale"}:
        one, another = pictures(first.path), pictures(third.path)
        same_timing = probe(first.path).frame_rate == probe(third.path).frame_rate and len(one) == len(another)
        assert not same_timing or one[0].shape != another[0].shape or not np.array_equal(one, another)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crop_keeps_a_part_of_every_picture_at_one_place_off_the_centre(
    seed: int, source: Path, tmp_path: Path
) -> None:
    films = pictures(copied(source, "crop", tmp_path, seed).path)
    height, width = films[0].shape[:2]
    assert len(films) == COUNT
    assert 0.59 <= width / SIZE[0] <= 0.87 and 0.59 <= height / SIZE[1] <= 0.87
    places = set()
    for ours, whole in list(zip(films, pictures(source), strict=True))[::13]:
        inner = ours[2:-2, 2:-2]
        found = cv2.matchTemplate(whole, inner, cv2.TM_SQDIFF)
        top, left = (int(place) for place in np.unravel_index(np.argmin(found), found.shape))
        places.add((top - 2, left - 2))
        assert difference(inner, whole[top : top + inner.shape[0], left : left + inner.shape[1]]) < NEAR
    assert np.ptp(list(places), axis=0).max() <= 1
    top, left = places.pop()
    assert abs(left + width / 2 - SIZE[0] / 2) > 2 and abs(top + height / 2 - SIZE[1] / 2) > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pad_puts_the_whole_picture_into_a_border_of_one_colour(seed: int, source: Path, tmp_path: Path) -> None:
    for ours, whole in list(zip(pictures(copied(source, "pad", tmp_path, seed).path), pictures(source), strict=True))[
        ::9
    ]:
        height, width = ours.shape[:2]
        assert 1.2 <= width / SIZE[0] <= 1.62 and 1.2 <= height / SIZE[1] <= 1.62
        found = cv2.matchTemplate(ours, whole, cv2.TM_SQDIFF)
        top, left = (int(place) for place in np.unravel_index(np.argmin(found), found.shape))
        assert difference(ours[top : top + SIZE[1], left : left + SIZE[0]], whole) < NEAR
        assert left >= 0.09 * SIZE[0] and top >= 0.09 * SIZE[1]
        border = np.concatenate([ours[: top - 4].reshape(-1, 3), ours[top + SIZE[1] + 4 :].reshape(-1, 3)])
        assert border.astype(float).std(axis=0).max() < 6


def test_a_flip_is_the_mirror_image(source: Path, tmp_path: Path) -> None:
    for ours, whole in zip(pictures(copied(source, "flip", tmp_path).path), pictures(source), strict=True):
        assert difference(ours[:, ::-1], whole) < NEAR < difference(ours, whole)


def test_a_blur_takes_the_detail_and_leaves_the_rest(source: Path, tmp_path: Path) -> None:
    ours, whole = pictures(copied(source, "blur", tmp_path).path)[5], pictures(source)[5]
    sharpness = [cv2.Laplacian(p.astype(np.float32), cv2.CV_32F).std() for p in (ours, whole)]
    assert sharpness[0] < sharpness[1] / 2
    assert difference(cv2.GaussianBlur(ours, (0, 0), 9), cv2.GaussianBlur(whole, (0, 0), 9)) < NEAR


@pytest.mark.parametrize("seed", SEEDS)
def test_an_overlay_covers_the_same_pixels_of_every_picture_and_no_more_than_a_third(
    seed: int, source: Path, tmp_path: Path
) -> None:
    changes = [
        np.abs(ours.astype(int) - whole).max(axis=2) > 60
        for ours, whole in zip(pictures(copied(source, "overlay", tmp_path, seed).path), pictures(source), strict=True)
    ]
    touched = np.any(changes, axis=0)
    assert 0.01 < touched.mean() < 0.35
    lettered = touched.any(axis=0).mean()
    assert lettered > 0.3, "a caption and a logo span a good part of the width"


def test_a_reencoded_copy_is_the_same_film_in_far_fewer_bytes(source: Path, other: Path, tmp_path: Path) -> None:
    hard, usual = copied(source, "reencode", tmp_path), copied(source, "flip", tmp_path)
    assert hard.path.stat().st_size < 0.7 * usual.path.stat().st_size
    assert [number_of(p) for p in pictures(hard.path)] == list(range(COUNT))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("transform", ["speed", "frame_rate", "excerpt"])
def test_what_a_copy_shows_at_a_time_is_what_it_says_it_shows(
    transform: str, seed: int, source: Path, tmp_path: Path
) -> None:
    copy = copied(source, transform, tmp_path, seed)
    pace = (copy.end_s - copy.start_s) / float(probe(copy.path).duration_s) if transform == "speed" else 1
    with VideoReader(copy.path) as reader:
        shown = [(float(frame.time_s), number_of(frame.pixels)) for frame in reader.frames()]
    for time_s, number in shown:
        assert abs(number / RATE - (copy.start_s + time_s * pace)) <= 1.01 / RATE
    share = len(shown) / COUNT
    if transform == "speed":
        assert share == 1 and (0.79 <= pace <= 0.93 or 1.07 <= pace <= 1.26)
    elif transform == "frame_rate":
        assert 0.34 <= share <= 0.78
    else:
        assert 0.47 <= share <= 0.73 and share == pytest.approx((copy.end_s - copy.start_s) * RATE / COUNT)


@pytest.mark.parametrize("seed", SEEDS)
def test_letterboxing_adds_equal_black_bars_on_two_sides(seed: int, source: Path, tmp_path: Path) -> None:
    ours, whole = pictures(copied(source, "letterbox", tmp_path, seed).path)[3], pictures(source)[3]
    height, width = ours.shape[:2]
    dy, dx = (height - SIZE[1]) // 2, (width - SIZE[0]) // 2
    assert min(dy, dx) == 0 and 0.13 <= 1 - SIZE[0] * SIZE[1] / (width * height) <= 0.47
    assert difference(ours[dy : dy + SIZE[1], dx : dx + SIZE[0]], whole) < NEAR
    if dy:
        assert ours[: dy - 2].max() < 24 and ours[-dy + 2 :].max() < 24
    else:
        assert ours[:, : dx - 2].max() < 24 and ours[:, -dx + 2 :].max() < 24


def test_a_grey_copy_has_no_colour_and_the_same_light(source: Path, tmp_path: Path) -> None:
    for ours, whole in zip(pictures(copied(source, "greyscale", tmp_path).path), pictures(source), strict=True):
        assert np.ptp(ours.astype(int), axis=2).max() <= 3
        assert difference(ours[..., 0], cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY)) < NEAR


@pytest.mark.parametrize("seed", SEEDS)
def test_a_picture_in_picture_lies_at_one_place_over_the_other_film_which_begins_anew(
    seed: int, source: Path, other: Path, tmp_path: Path
) -> None:
    copy = copied(source, "picture_in_picture", tmp_path, seed, source, other)
    assert copy.background == other
    copies, behind, whole = pictures(copy.path), pictures(other), pictures(source)
    share = float(copy.strengths[0].split("%")[0].removeprefix("at ")) / 100
    assert 0.39 <= share <= 0.61
    inner_size = round(SIZE[0] * share), round(SIZE[1] * share)
    for number in (0, 16):
        ours = copies[number]
        inner = cv2.resize(whole[number], inner_size, interpolation=cv2.INTER_AREA)
        found = cv2.matchTemplate(ours, inner, cv2.TM_SQDIFF)
        top, left = (int(place) for place in np.unravel_index(np.argmin(found), found.shape))
        assert difference(ours[top : top + inner_size[1], left : left + inner_size[0]], inner) < 1.5 * NEAR
        around = np.ones(ours.shape[:2], bool)
        around[max(0, top - 2) : top + inner_size[1] + 2, max(0, left - 2) : left + inner_size[0] + 2] = False
        assert difference(ours[around], behind[number % len(behind)][around]) < NEAR


def test_a_combined_copy_has_two_different_edits(source: Path, other: Path, tmp_path: Path) -> None:
    seen = set()
    for seed in range(6):
        copy = copied(source, "combined", tmp_path, seed, other)
        assert len(copy.strengths) == 2 and copy.strengths[0] != copy.strengths[1]
        seen |= set(copy.strengths)
    assert len(seen) > 8


def test_a_long_film_is_copied_from_its_middle_forty_seconds(tmp_path: Path) -> None:
    film = moving_clip(tmp_path / "long.mp4", 64, 48, Fraction(4), 50)
    whole, part = copied(film, "flip", tmp_path), copied(film, "excerpt", tmp_path)
    assert (whole.start_s, whole.end_s) == (5, 45)
    numbers = [number_of(p[:, ::-1]) for p in pictures(whole.path)]
    assert numbers == list(range(20, 180))
    assert 5 <= part.start_s < part.end_s <= 45 and 20 <= part.end_s - part.start_s <= 28


def test_a_large_or_fast_film_is_brought_within_the_bounds(tmp_path: Path, other: Path) -> None:
    film = moving_clip(tmp_path / "large.mp4", 1280, 720, Fraction(60), 0.2)
    for transform in ("pad", "letterbox", "flip"):
        info = probe(copied(film, transform, tmp_path).path)
        assert max(info.width, info.height) <= MAX_SIDE_PX and info.frame_rate <= 15


def test_a_picture_in_picture_asks_for_a_film_other_than_its_own(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="needs another film"):
        copied(source, "picture_in_picture", tmp_path, 0, source)
    assert not list(tmp_path.iterdir())


def test_unknown_transforms_and_still_pictures_are_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="'rotate'"):
        copied(source, "rotate", tmp_path)
    with pytest.raises(ClipTooShortError, match=r"still\.png"):
        copied(still_picture(tmp_path / "still.png"), "flip", tmp_path)
