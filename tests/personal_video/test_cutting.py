"""Subjects cut out of drawn pictures and photographs, held against the shapes that were drawn."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import MediaDamagedError, MediaError, MediaLimitError, MediaOpenError, NoSubjectError, ParameterError
from core.media import MediaLimits
from core.personal_video.config import ConceptConfig
from core.personal_video.cutting import Cutout, SubjectCutter, border_contrast, cutout_from_png, whole_pieces
from tests.personal_video.conftest import ASSETS, Pixels, disc, saved


@pytest.fixture(scope="module")
def cutter() -> Iterator[SubjectCutter]:
    with SubjectCutter() as cutter:
        yield cutter


def overlap(cutout: Cutout, truth: NDArray[np.bool_]) -> float:
    """Intersection over union of the cut-out, laid back into its picture, and what was drawn."""
    left, top, right, bottom = cutout.box
    laid = np.zeros(truth.shape, bool)
    laid[top:bottom, left:right] = cutout.mask > 0.5
    return float((laid & truth).sum() / (laid | truth).sum())


def star(side: int = 200) -> NDArray[np.bool_]:
    """A five-pointed star in the middle of a square."""
    angles = np.pi * (np.arange(10) / 5 - 0.5)
    radii = side * np.where(np.arange(10) % 2, 0.17, 0.38)
    points = side / 2 + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    return cv2.fillPoly(np.zeros((side, side), np.uint8), [points.astype(np.int32)], 1).astype(bool)


def before(background: NDArray[np.number], subject: NDArray[np.bool_], colour: tuple[int, int, int]) -> Pixels:
    noisy = np.where(subject[..., None], colour, background) + np.random.default_rng(0).normal(
        0, 3, (*subject.shape, 3)
    )
    return np.clip(noisy, 0, 255).astype(np.uint8)


BACKGROUNDS = {
    "plain": np.full((200, 200, 3), (90, 140, 200)),
    "white": np.full((200, 200, 3), 255),
    "gradient": np.linspace(0, 1, 200)[:, None, None] * (40, 90, 60) + np.full((200, 200, 3), (60, 80, 120)),
    "stripes": np.where((np.arange(200) // 20 % 2)[None, :, None], (60, 90, 160), (150, 190, 230))
    + np.zeros((200, 1, 1)),
}


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_what_was_drawn_before_a_background_is_what_is_cut_out(name: str, cutter: SubjectCutter) -> None:
    subject = star()
    cutout = cutter.cut(before(BACKGROUNDS[name], subject, (220, 60, 30)))
    assert cutout.way == "saliency"
    assert overlap(cutout, subject) > 0.9


def test_a_subject_of_several_colours_with_a_hole_like_the_background_is_whole(cutter: SubjectCutter) -> None:
    picture = np.full((200, 200, 3), 240, np.uint8)
    truth = np.zeros((200, 200), bool)
    truth[50:150, 60:150] = True
    picture[50:100, 60:150], picture[100:150, 60:150], picture[80:90, 90:100] = (200, 30, 30), (20, 60, 160), 240
    assert overlap(cutter.cut(picture), truth) > 0.97


def test_a_pictures_own_transparency_is_taken_as_it_is(cutter: SubjectCutter) -> None:
    pixels = disc((10, 200, 10))
    pixels[40:50, 40:50, 3] = 77
    cutout = cutter.cut(pixels)
    left, top, right, bottom = cutout.box
    assert cutout.way == "alpha"
    assert (left, top, right, bottom) == (18, 18, 79, 79)
    np.testing.assert_array_equal(cutout.pixels[..., 3], pixels[top:bottom, left:right, 3])
    assert not cutout.pixels[cutout.pixels[..., 3] == 0].any()


def test_a_picture_that_is_opaque_all_over_is_treated_as_one_without_transparency(cutter: SubjectCutter) -> None:
    plain = before(BACKGROUNDS["plain"], star(), (220, 60, 30))
    opaque = np.concatenate([plain, np.full((200, 200, 1), 255, np.uint8)], axis=2)
    np.testing.assert_array_equal(cutter.cut(opaque).pixels, cutter.cut(plain).pixels)


def test_a_person_is_told_from_the_background_by_the_segmenter(cutter: SubjectCutter) -> None:
    (cutout,) = cutter.cut_file(ASSETS / "astronaut.jpg")
    assert cutout.way == "person"
    laid = np.zeros(cutout.picture_size[::-1], bool)
    left, top, right, bottom = cutout.box
    laid[top:bottom, left:right] = cutout.mask > 0.5
    assert laid[100:170, 200:250].all() and laid[400:500, 150:300].all(), "face and chest"
    assert not laid[20:200, 400:500].any(), "the shuttle behind her"


@pytest.mark.parametrize("name", ["chelsea.jpg", "coffee.jpg"])
def test_an_animal_and_a_thing_are_not_taken_for_people(name: str, cutter: SubjectCutter) -> None:
    (cutout,) = cutter.cut_file(ASSETS / name)
    assert cutout.way == "saliency"


def test_the_same_picture_gives_the_same_cut_out(cutter: SubjectCutter) -> None:
    first, second = (cutter.cut_file(ASSETS / "coffee.jpg")[0] for _ in range(2))
    assert first.png() == second.png()


def test_the_box_is_the_smallest_around_the_subject(cutter: SubjectCutter) -> None:
    alpha = cutter.cut(before(BACKGROUNDS["stripes"], star(), (220, 60, 30))).pixels[..., 3]
    assert all(edge.any() for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))


@pytest.mark.parametrize(
    "picture",
    [
        np.full((1, 1, 3), 9, np.uint8),
        np.full((1, 1, 4), 255, np.uint8),
        np.full((3000, 2, 3), 9, np.uint8),
        np.full((64, 64, 3), 128, np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.random.default_rng(0).integers(118, 122, (64, 64, 3)).astype(np.uint8),
    ],
    ids=["1x1", "1x1 opaque", "a line", "one colour", "all transparent", "noise"],
)
def test_a_picture_without_a_subject_is_an_error_with_a_remedy(picture: Pixels, cutter: SubjectCutter) -> None:
    with pytest.raises(NoSubjectError, match=r"blank\.png.*give a"):
        cutter.cut(picture, "blank.png")


def test_what_is_no_picture_is_refused(cutter: SubjectCutter) -> None:
    for wrong in (np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32), np.zeros((0, 64, 3), np.uint8)):
        with pytest.raises(ParameterError, match="give uint8"):
            cutter.cut(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animated_picture_gives_some_of_its_pictures(suffix: str, tmp_path: Path, cutter: SubjectCutter) -> None:
    pictures = [Image.fromarray(disc((200, 40, 40), radius=radius)) for radius in range(10, 34, 2)]
    path = tmp_path / f"grows.{suffix}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, loop=0, disposal=2, lossless=True)
    cutouts = cutter.cut_file(path)
    widths = [cutout.pixels.shape[1] for cutout in cutouts]
    assert len(cutouts) == ConceptConfig().animation_frames
    assert widths == sorted(set(widths)), "evenly spread over the growing disc"
    assert {cutout.way for cutout in cutouts} == {"alpha"}
    assert len({cutout.source for cutout in cutouts}) == len(cutouts)


def test_pictures_of_an_animation_without_a_subject_are_passed_over(tmp_path: Path, cutter: SubjectCutter) -> None:
    shown, blank = Image.fromarray(disc((200, 40, 40))), Image.new("RGBA", (96, 96))
    path = tmp_path / "appears.webp"
    blank.save(path, save_all=True, append_images=[blank, shown, shown], duration=100, lossless=True)
    assert len(cutter.cut_file(path)) == 1


def test_a_picture_twelve_thousand_pixels_wide_is_looked_at_small(tmp_path: Path, cutter: SubjectCutter) -> None:
    wide = np.full((600, 12000, 3), 250, np.uint8)
    wide[150:450, 4000:8000] = (20, 80, 160)
    (cutout,) = cutter.cut_file(saved(tmp_path, "wide.jpg", wide))
    assert cutout.picture_size == (512, 26)
    assert np.abs(np.subtract(cutout.box, (171, 6, 341, 20))).max() <= 2


def test_a_picture_beyond_the_limits_is_refused_before_it_is_decoded(tmp_path: Path, cutter: SubjectCutter) -> None:
    path = tmp_path / "huge.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 12000, 12000, 8, 6, 0, 0, 0)
    content = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\x09IDAT" + bytes(13)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(MediaLimitError, match=r"huge\.png"):
        cutter.cut_file(path)
    small = SubjectCutter(ConceptConfig(limits=MediaLimits(max_pixels=50)))
    with pytest.raises(MediaLimitError):
        small.cut_file(saved(tmp_path, "disc.png", disc((1, 2, 3))))


@pytest.mark.parametrize(
    ("content", "error"), [(b"", MediaOpenError), (b"not a picture", MediaError), (None, MediaOpenError)]
)
def test_what_cannot_be_read_is_told_by_name(
    content: bytes | None, error: type[MediaError], tmp_path: Path, cutter: SubjectCutter
) -> None:
    path = tmp_path / "odd.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=r"odd\.png"):
        cutter.cut_file(path)


def test_a_cut_out_comes_back_from_its_png_bit_by_bit_and_a_damaged_one_is_told() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 17, 4)).astype(np.uint8)
    png = Cutout(pixels, (0, 0, 17, 9), (17, 9), "alpha").png()
    np.testing.assert_array_equal(cutout_from_png(png).pixels, pixels)
    for damaged in (png[: len(png) // 2], b"", b"GIF89a" + png):
        with pytest.raises(MediaDamagedError, match="sample 3"):
            cutout_from_png(damaged, "sample 3")


def test_on_a_square_the_subject_is_centred_in_its_proportions() -> None:
    pixels = np.full((10, 40, 4), (255, 0, 0, 255), np.uint8)
    square = Cutout(pixels, (0, 0, 40, 10), (40, 10), "alpha").square(100, (0, 0, 255))
    red = square[..., 0] > 127
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    assert (columns[0], columns[-1], rows[0], rows[-1]) == (5, 94, 39, 60)
    np.testing.assert_array_equal(square[0, 0], (0, 0, 255))


def test_contrast_is_the_distance_to_the_nearest_colour_of_the_border_in_cielab() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, 20:] = 255
    picture[15:25, 15:25] = (119, 119, 119)
    contrast = border_contrast(picture)
    assert contrast[0, 0] == contrast[0, -1] == pytest.approx(0, abs=0.1)
    assert contrast[20, 20] == pytest.approx(50, abs=0.5), "middle grey has L* of 50"


def test_specks_fall_away_and_holes_are_filled() -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:40, 10:40], mask[20:25, 20:25], mask[50:52, 50:52], mask[45:57, 20:32] = True, False, True, True
    wanted = np.zeros((60, 60), bool)
    wanted[10:40, 10:40], wanted[45:57, 20:32] = True, True
    np.testing.assert_array_equal(whole_pieces(mask), wanted)
