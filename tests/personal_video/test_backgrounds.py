"""Backgrounds: the colours and patterns that the words name, under a camera that does what its words say."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from core.errors import MediaOpenError, ParameterError
from core.personal_video.backgrounds import (
    CAMERAS,
    COLOURS,
    VARIANTS,
    Background,
    Camera,
    Photograph,
    Pixels,
    drawn,
    phrase,
    plates,
    read_photographs,
)

PAIR = ("red", "white")


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def photograph(side: int = 200) -> Photograph:
    rough = dice(3).integers(0, 255, (12, 18, 3)).astype(np.uint8)
    return Photograph("rough.png", np.asarray(cv2.resize(rough, (side * 3 // 2, side)), np.uint8), "on a beach")


def seen(background: Background, camera: Camera = "still", frames: int = 8, side: int = 64) -> Pixels:
    return plates(background, camera, frames, side, dice())


@pytest.mark.parametrize("name", COLOURS)
def test_a_plain_background_has_the_colour_it_is_called(name: str) -> None:
    frames = seen(Background("plain", (name,))).reshape(-1, 3)
    assert (frames == frames[0]).all()
    nearest = min(COLOURS, key=lambda other: float(np.abs(frames[0] - np.array(COLOURS[other], float)).sum()))
    assert nearest == name


@pytest.mark.parametrize("kind", ["stripes", "checks", "dots"])
def test_a_pattern_has_its_two_colours_and_little_between_them(kind: str) -> None:
    for variant in VARIANTS[kind]:
        frame = seen(Background(kind, PAIR, variant))[0].astype(float)
        near = [np.abs(frame - COLOURS[name]).max(axis=2) < 30 for name in PAIR]
        assert near[0].mean() > 0.3 and near[1].mean() > 0.1 and (near[0] | near[1]).mean() > 0.6


def test_stripes_run_as_they_say() -> None:
    vertical, horizontal, diagonal = (
        seen(Background("stripes", PAIR, variant))[0, :, :, 1].astype(float)
        for variant in ("vertical", "horizontal", "diagonal")
    )
    assert vertical.std(axis=0).max() < 2 < vertical.std(axis=1).max()
    assert horizontal.std(axis=1).max() < 2 < horizontal.std(axis=0).max()
    assert diagonal.std(axis=0).min() > 20 and diagonal.std(axis=1).min() > 20


def test_a_slope_goes_from_its_first_colour_to_its_second() -> None:
    across = seen(Background("gradient", PAIR, "left to right"))[0].astype(float)
    down = seen(Background("gradient", PAIR, "top to bottom"))[0].astype(float)
    for line in (across.mean(axis=0), down.mean(axis=1)):
        assert np.abs(line[0] - COLOURS["red"]).max() < 15 and np.abs(line[-1] - COLOURS["white"]).max() < 15
        assert (np.diff(line[:, 1]) >= 0).all()


def shift_of(first: Pixels, last: Pixels) -> float:
    """How far the picture moved to the right, in pixels, by trying."""
    offsets = range(-24, 25)
    inner = first[:, 24:-24].astype(float)

    def apart(offset: int) -> float:
        return float(np.abs(last[:, 24 + offset : last.shape[1] - 24 + offset] - inner).mean())

    return min(offsets, key=apart)


def test_what_is_seen_moves_against_the_pan() -> None:
    for camera, sign in (("pan left", 1), ("pan right", -1)):
        frames = plates(Background("photograph", photograph=photograph()), camera, 16, 64, dice())  # type: ignore[arg-type]
        assert shift_of(frames[0], frames[-1]) == pytest.approx(sign * 0.3 * 64, abs=1)


def test_zooming_in_enlarges_and_zooming_out_is_the_same_backwards() -> None:
    background = Background("photograph", photograph=photograph())
    near, far = (seen(background, camera, 16) for camera in ("zoom in", "zoom out"))
    np.testing.assert_array_equal(near, far[::-1])
    inner = round(64 / 1.4)
    start = (64 - inner) // 2
    cut = near[0][start : start + inner, start : start + inner]
    enlarged = np.asarray(cv2.resize(cut, (64, 64), interpolation=cv2.INTER_CUBIC), float)
    assert np.abs(enlarged - near[-1]).mean() < 0.3 * np.abs(near[0].astype(float) - near[-1]).mean()


def test_every_camera_that_is_offered_can_be_seen_and_the_others_are_refused() -> None:
    for kind, variants in VARIANTS.items():
        for variant in variants:
            colours = {"plain": 1, "photograph": 0}.get(kind, 2)
            background = Background(kind, PAIR[:colours], variant, photograph() if kind == "photograph" else None)
            for camera in CAMERAS:
                if camera in background.cameras:
                    frames = seen(background, camera).astype(float)
                    assert (np.abs(frames - frames[0]).mean() > 2) == (camera != "still"), (background.key, camera)
                else:
                    with pytest.raises(ParameterError, match="cannot be seen"):
                        seen(background, camera)


def test_a_pattern_moves_little_by_little() -> None:
    """No stripe jumps to the place of the next one, so that the way it goes can be seen."""
    frames = seen(Background("stripes", PAIR, "vertical"), "pan left", 16)[:, 32, :, 1].astype(float)
    for before, after in pairwise(frames):
        right = np.abs(after[2:] - before[:-2]).mean()
        left = np.abs(after[:-2] - before[2:]).mean()
        assert right < left


def test_the_words_name_all_colours_and_the_variant() -> None:
    for seed in range(200):
        random = dice(seed)
        background = drawn(random, [photograph()])
        words = phrase(background, random)
        if background.kind == "photograph":
            assert words == "on a beach"
        else:
            assert all(colour in words for colour in background.colours) and background.variant in words


def test_lots_are_the_same_for_the_same_seed_and_cover_every_kind() -> None:
    first, again = ([drawn(dice(seed), [photograph()]).key for seed in range(100)] for _ in range(2))
    assert first == again and {key.split()[0] for key in first} == set(VARIANTS)
    assert not any(drawn(dice(seed)).kind == "photograph" for seed in range(100))


def test_photographs_are_read_small_with_the_words_that_were_given(tmp_path: Path) -> None:
    Image.fromarray(photograph(300).picture).save(tmp_path / "b.jpg")
    Image.fromarray(photograph(100).picture).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    small, large = read_photographs(tmp_path, {"b.jpg": "in a garden"}, side_px=128)
    assert (small.key, small.words, small.picture.shape) == ("a.png", "in front of a photograph", (100, 150, 3))
    assert (large.words, large.picture.shape) == ("in a garden", (128, 192, 3))


def test_a_folder_without_photographs_and_a_broken_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(MediaOpenError, match="holds no JPEG or PNG"):
        read_photographs(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(MediaOpenError, match=r"broken\.jpg"):
        read_photographs(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        ("plaid", PAIR, ""),
        ("plain", PAIR, ""),
        ("stripes", PAIR, "wavy"),
        ("checks", ("red", "mauve"), ""),
        ("photograph", (), ""),
    ],
)
def test_backgrounds_that_do_not_exist_are_refused(wrong: tuple[str, tuple[str, ...], str]) -> None:
    with pytest.raises(ParameterError):
        Background(*wrong)
