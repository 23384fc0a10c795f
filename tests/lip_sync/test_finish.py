"""A mouth laid into a picture: nothing outside the mask changes, and inside no seam is seen."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.crops import CROP_PX, Matrix, crop, crop_matrix, points_in_crop
from core.lip_sync.faces import CHIN, EYES, NOSE, OUTER, Face, FaceFinder, drawn_face
from core.lip_sync.finish import FinishConfig, mask_of, paste
from tests.lip_sync.made import made_face

Picture = NDArray[np.uint8]
PLAIN = FinishConfig(sharpness=0, detail=0, colour_match=0)


def psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other.astype(float)).mean()))


def scene(height: int = 480, width: int = 640, seed: int = 0) -> Picture:
    """Smooth colours with some grain, from 40 to 200."""
    random = np.random.default_rng(seed)
    coarse = random.integers(60, 180, (6, 8, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + random.normal(0, 3, (height, width, 1)), 40, 200).astype(np.uint8)


def turned(face: Face, degrees: float) -> Face:
    middle = face.landmarks.mean(axis=0)
    turn: Matrix = np.asarray(cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), degrees, 1.0), np.float64)
    points = points_in_crop(face.landmarks, turn)
    return Face(np.concatenate([points.min(axis=0), points.max(axis=0)]), points)


PLACES = {
    "in the middle": made_face(320, 220, 110, 14),
    "half outside on the left": made_face(20, 220, 110, 14),
    "half outside below": made_face(320, 460, 110, 14),
    "all outside": made_face(2000, -700, 110, 14),
    "tiny": made_face(320, 220, 5, 1),
    "as large as the picture": made_face(320, 220, 260, 40),
    "turned by a right angle": turned(made_face(320, 220, 110, 14), 90),
    "upside down": turned(made_face(320, 220, 110, 14), 180),
}


class TestMask:
    @pytest.mark.parametrize("place", PLACES)
    def test_it_lies_in_the_crop_and_rises_smoothly_from_0_to_1(self, place: str) -> None:
        face = PLACES[place]
        matrix = crop_matrix(face)
        mask = mask_of(face, matrix, (480, 640, 3))
        assert mask.shape == (480, 640) and mask.min() == 0 and mask.max() <= 1
        rows, columns = np.nonzero(mask)
        seen = points_in_crop(np.stack([columns, rows], axis=1).astype(np.float32), matrix)
        assert not len(seen) or (seen.min() > -0.6 and seen.max() < CROP_PX - 0.4)
        if place not in ("tiny", "all outside"):
            assert mask.max() == 1
            inner = mask[2:-2, 2:-2]
            assert np.abs(np.diff(inner, axis=0)).max() < 0.15 > np.abs(np.diff(inner, axis=1)).max()

    def test_mouth_and_chin_are_wholly_in_it_and_nose_and_eyes_are_not(
        self, finder: FaceFinder, portrait: Picture
    ) -> None:
        (face,) = finder.faces(portrait)
        mask = mask_of(face, crop_matrix(face), portrait.shape)

        def at(point: NDArray[np.float32]) -> float:
            return float(mask[round(float(point[1])), round(float(point[0]))])

        assert all(at(point) > 0.95 for point in face.landmarks[OUTER])
        assert at(face.landmarks[CHIN]) > 0.6
        assert at(face.landmarks[NOSE]) == 0
        assert all(at(point) == 0 for point in face.landmarks[EYES])

    def test_it_covers_the_chin_of_a_mouth_that_is_wide_open_in_the_frame(self) -> None:
        face = made_face(320, 220, 110, 14)
        points = face.landmarks.copy()
        points[OUTER.start + 1 : OUTER.start + 10, 1] += 60
        points[OUTER.stop + 1 : OUTER.stop + 10, 1] += 60
        points[CHIN - 6 : CHIN + 7, 1] += 40
        wide = Face(face.box, points)
        mask = mask_of(wide, crop_matrix(wide), (480, 640))
        x, y = points[CHIN].round().astype(int)
        assert mask[y, x] > 0.4 and mask[y - 8, x] > 0.8

    def test_size_and_feather_do_what_they_say(self) -> None:
        face = PLACES["in the middle"]
        matrix = crop_matrix(face)

        def area(**options: float) -> tuple[int, int]:
            mask = mask_of(face, matrix, (480, 640), FinishConfig(**options))
            return int((mask > 0).sum()), int((mask == 1).sum())

        whole, full = area()
        small, _ = area(mask_size=0.6)
        assert small == pytest.approx(0.36 * whole, rel=0.15)
        soft, soft_full = area(feather=0.2)
        assert soft == pytest.approx(whole, rel=0.05) and soft_full < 0.6 * full

    @pytest.mark.parametrize("field", ["padding", "mask_size", "feather", "colour_match", "sharpness", "detail"])
    def test_settings_are_checked_where_they_are_made(self, field: str) -> None:
        with pytest.raises(ParameterError, match=f"{field} is 9"):
            FinishConfig(**{field: 9.0})


class TestPaste:
    @pytest.mark.parametrize("place", PLACES)
    def test_every_pixel_outside_the_mask_stays_bit_for_bit(self, place: str) -> None:
        face, picture = PLACES[place], scene()
        matrix, before = crop_matrix(face), picture.copy()
        out = paste(picture, scene(CROP_PX, CROP_PX, 7), matrix, face)
        mask = mask_of(face, matrix, picture.shape)
        np.testing.assert_array_equal(out[mask == 0], picture[mask == 0])
        np.testing.assert_array_equal(picture, before)
        if place != "all outside":
            assert (out[mask > 0.5] != picture[mask > 0.5]).mean() > 0.5

    @pytest.mark.parametrize("place", [place for place in PLACES if place != "all outside"])
    @pytest.mark.parametrize("options", [FinishConfig(), PLAIN], ids=["default", "plain"])
    def test_the_frames_own_crop_changes_little(self, place: str, options: FinishConfig) -> None:
        face, picture = PLACES[place], scene()
        matrix = crop_matrix(face)
        out = paste(picture, crop(picture, matrix), matrix, face, options)
        inside = mask_of(face, matrix, picture.shape) > 0
        assert psnr(out[inside], picture[inside]) > 30

    def test_the_portraits_own_crop_changes_little(self, finder: FaceFinder, portrait: Picture) -> None:
        large = np.asarray(cv2.resize(portrait, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), np.uint8)
        for picture in (portrait, large):
            (face,) = finder.faces(picture)
            matrix = crop_matrix(face)
            out = paste(picture, crop(picture, matrix), matrix, face)
            inside = mask_of(face, matrix, picture.shape) > 0
            assert psnr(out[inside], picture[inside]) > 36

    @pytest.mark.parametrize("offset", [(30, 30, 30), (-25, 10, 20)])
    def test_a_crop_of_another_brightness_is_brought_to_the_frames(self, offset: tuple[int, int, int]) -> None:
        face, picture = PLACES["in the middle"], scene()
        matrix = crop_matrix(face)
        other = (crop(picture, matrix).astype(int) + offset).astype(np.uint8)
        inside = mask_of(face, matrix, picture.shape) > 0.9
        matched, raw = (
            paste(picture, other, matrix, face, FinishConfig(colour_match=share))[inside].astype(float)
            for share in (1.0, 0.0)
        )
        before = picture[inside]
        assert np.abs((raw - before).mean(axis=0) - offset).max() < 1
        assert np.abs((matched - before).mean(axis=0)).max() < 1
        assert psnr(matched, before) > 30

    def test_light_from_one_side_is_matched_on_both(self) -> None:
        """A crop too bright on the left and too dark on the right, by 20 at its edges."""
        face, picture = PLACES["in the middle"], scene()
        matrix = crop_matrix(face)
        slope = np.linspace(20, -20, CROP_PX)[None, :, None]
        out = paste(picture, (crop(picture, matrix) + slope).astype(np.uint8), matrix, face)
        inside = mask_of(face, matrix, picture.shape) > 0
        assert np.abs(out[inside].astype(float) - picture[inside]).mean() < 3.5

    def test_a_new_mouth_is_seen_and_does_not_tint_the_skin_around_it(self) -> None:
        face = PLACES["in the middle"]
        picture = np.full((480, 640, 3), 150, np.uint8)
        matrix = crop_matrix(face)
        spoken = crop(picture, matrix)
        middle = points_in_crop(face.landmarks[OUTER], matrix).mean(axis=0)
        cv2.circle(spoken, (round(float(middle[0])), round(float(middle[1]))), 8, (20, 0, 0), -1)
        out = paste(picture, spoken, matrix, face)
        x, y = face.landmarks[OUTER].mean(axis=0).round().astype(int)
        assert out[y, x].max() < 30
        assert np.abs(out[y + 60 :].astype(int) - 150).max() <= 1

    def test_the_skins_own_detail_comes_back_but_not_on_the_lips(self) -> None:
        """Of grain finer than the crop can hold, at a face of 700 pixels."""
        random = np.random.default_rng(3)
        picture = np.clip(128 + random.normal(0, 5, (900, 900, 1)).repeat(3, axis=2), 0, 255).astype(np.uint8)
        face = made_face(450, 500, 270, 40)
        matrix = crop_matrix(face)
        flat = np.full((CROP_PX, CROP_PX, 3), 128, np.uint8)
        skin = mask_of(face, matrix, picture.shape) == 1
        skin[:700] = False
        with_detail, without = (paste(picture, flat, matrix, face, FinishConfig(detail=share)) for share in (1, 0))
        assert with_detail[skin].std() > 0.8 * picture[skin].std() > 5 * without[skin].std()
        assert with_detail[490:510, 430:470].std() < 1

    def test_a_crop_of_another_shape_is_refused(self) -> None:
        face, picture = PLACES["in the middle"], scene()
        for wrong in (np.zeros((64, 64, 3), np.uint8), np.zeros((CROP_PX, CROP_PX, 3), np.float32)):
            with pytest.raises(ParameterError, match="give uint8"):
                paste(picture, wrong, crop_matrix(face), face)  # type: ignore[arg-type]

    def test_two_faces_are_laid_in_one_after_the_other(self) -> None:
        picture, faces = scene(), [made_face(160, 220, 60, 10), drawn_face((430, 210, 490, 230))]
        other = scene(CROP_PX, CROP_PX, 9)
        out = picture
        for face in faces:
            out = paste(out, other, crop_matrix(face), face)
        masks = [mask_of(face, crop_matrix(face), picture.shape) for face in faces]
        changed = (out != picture).any(axis=2)
        assert all(changed[mask > 0.5].mean() > 0.9 for mask in masks)
        assert not changed[(masks[0] == 0) & (masks[1] == 0)].any()
