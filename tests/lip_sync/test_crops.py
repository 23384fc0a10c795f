"""Where the mouth's crop lies, on drawn faces and on the portrait: steady, upright, and whole."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.crops import (
    CROP_PX,
    Matrix,
    crop,
    crop_matrix,
    crop_scale,
    inverse,
    points_in_crop,
    rest_landmarks,
    window_of,
)
from core.lip_sync.faces import CHIN, EYES, INNER, NOSE, OUTER, OVAL, Face, FaceFinder, drawn_face
from tests.lip_sync.made import made_face

Picture = NDArray[np.uint8]
LOWER_LIPS = [*range(OUTER.start + 1, OUTER.start + 10), *range(INNER.start + 1, INNER.start + 10)]
CORNERS = [OUTER.start, OUTER.start + 10, INNER.start, INNER.start + 10]
JAW = [*range(OVAL.start + 11, OVAL.start + 26)]
OPENINGS = (0.0, 0.1, 0.3, 0.6)
"""In widths of the mouth."""


def with_opening(face: Face, opening: float) -> Face:
    """A drawn face that speaks: the lower lip goes down by most of the opening, jaw and corners follow by a part."""
    points = face.landmarks.copy()
    middle = points[OUTER].mean(axis=0)
    shut = points[INNER]
    shut[:, 1] = middle[1]
    points[INNER] = shut
    by = opening * float(np.ptp(points[OUTER, 0]))
    half = 0.5 * float(np.ptp(points[OUTER, 0]))
    arch = np.sqrt(np.maximum(0, 1 - ((points[:, 0] - middle[0]) / half) ** 2))
    points[LOWER_LIPS, 1] += by * (0.25 + 0.6 * arch[LOWER_LIPS])
    points[CORNERS, 1] += 0.25 * by
    upper = [*range(INNER.start + 11, INNER.stop)]
    points[upper, 1] += by * (0.25 - 0.4 * arch[upper])
    points[JAW, 1] += 0.36 * by
    return Face(np.concatenate([points.min(axis=0), points.max(axis=0)]), points)


def turning(degrees: float, scale: float = 1.0) -> Matrix:
    return np.asarray(cv2.getRotationMatrix2D((10.0, -40.0), degrees, scale), np.float64)


def moved(face: Face, matrix: Matrix) -> Face:
    points = points_in_crop(face.landmarks, matrix)
    return Face(np.concatenate([points.min(axis=0), points.max(axis=0)]), points)


@pytest.fixture
def face() -> Face:
    return made_face(300, 320, mouth_px=80, opening_px=16)


class TestPlace:
    def test_it_does_not_move_when_the_mouth_opens(self, face: Face) -> None:
        """Nor where the jaw moves as it likes."""
        still = crop_matrix(face)
        for opening in OPENINGS:
            np.testing.assert_array_equal(crop_matrix(with_opening(face, opening)), still)
        points = face.landmarks.copy()
        points[JAW] += 50
        points[OUTER.start :] -= 20
        np.testing.assert_array_equal(crop_matrix(Face(face.box, points)), still)

    def test_it_shows_the_mouth_and_the_chin_of_a_widely_opened_one_and_not_the_eyes(self, face: Face) -> None:
        for opening in OPENINGS:
            wide = with_opening(face, opening)
            shown = points_in_crop(wide.landmarks, crop_matrix(wide))
            assert shown[OUTER].min() > 16 and shown[OUTER].max() < CROP_PX - 16
            assert 0.55 * CROP_PX < shown[CHIN, 1] < CROP_PX - 10
            assert 0 < shown[NOSE, 1] < shown[OUTER, 1].min()
            assert shown[EYES, 1].max() < 0

    def test_the_mouth_of_the_portrait_is_in_the_middle_third_and_its_chin_inside(
        self, finder: FaceFinder, portrait: Picture
    ) -> None:
        (face,) = finder.faces(portrait)
        shown = points_in_crop(face.landmarks, crop_matrix(face))
        mouth = shown[OUTER].mean(axis=0)
        assert 0.4 < mouth[0] / CROP_PX < 0.6 and 0.25 < mouth[1] / CROP_PX < 0.45
        assert shown[CHIN, 1] < 0.85 * CROP_PX
        assert 0.3 < np.ptp(shown[OUTER, 0]) / CROP_PX < 0.55, "it smiles broadly"

    @pytest.mark.parametrize("degrees", [0, 30, 90, 180, -120])
    @pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
    def test_it_turns_and_grows_with_the_face(self, face: Face, degrees: float, scale: float) -> None:
        """So the face lies in the crop as before."""
        turn = turning(degrees, scale)
        turned = moved(face, turn)
        before = points_in_crop(face.landmarks, crop_matrix(face))
        np.testing.assert_allclose(points_in_crop(turned.landmarks, crop_matrix(turned)), before, atol=0.05)
        assert crop_scale(crop_matrix(turned)) == pytest.approx(crop_scale(crop_matrix(face)) / scale, rel=1e-4)

    def test_a_head_turned_aside_keeps_its_size_and_the_mouth_in_the_middle(self, face: Face) -> None:
        """Turned by 45 degrees: all is narrower, and the nose, which stands out, goes to one side."""
        points = face.landmarks.copy()
        middle = float(points[EYES, 0].mean())
        points[:, 0] = middle + 0.7 * (points[:, 0] - middle)
        points[[NOSE, *range(OUTER.start, INNER.stop)], 0] += np.array([40] + [22] * 40, np.float32)
        aside = Face(face.box, points)
        assert crop_scale(crop_matrix(aside)) == pytest.approx(crop_scale(crop_matrix(face)), rel=0.05)
        mouth = points_in_crop(aside.landmarks[OUTER], crop_matrix(aside)).mean(axis=0)
        assert mouth[0] == pytest.approx(CROP_PX / 2, abs=8)

    def test_padding_shows_more_around_the_same_middle(self, face: Face) -> None:
        tight, wide = crop_matrix(face), crop_matrix(face, 0.5)
        assert crop_scale(wide) == pytest.approx(crop_scale(tight) / 2)
        middle = np.full((1, 2), CROP_PX / 2 - 0.5, np.float32)
        np.testing.assert_allclose(
            points_in_crop(middle, inverse(tight)), points_in_crop(middle, inverse(wide)), atol=1e-3
        )

    def test_what_is_no_face_is_refused(self, face: Face) -> None:
        with pytest.raises(ParameterError, match="padding"):
            crop_matrix(face, 3)
        with pytest.raises(ParameterError, match="fall together"):
            crop_matrix(Face(face.box, np.zeros_like(face.landmarks)))


class TestRest:
    def test_it_is_nearly_the_same_however_far_the_mouth_is_open(self, face: Face) -> None:
        rests = np.stack([rest_landmarks(with_opening(face, opening)) for opening in OPENINGS])
        opened = np.stack([with_opening(face, opening).mouth for opening in OPENINGS])
        assert np.abs(rests - rests[0]).max() < 0.2 * np.abs(opened - opened[0]).max()

    def test_its_inner_edges_meet(self, face: Face) -> None:
        for opening in OPENINGS:
            rest = rest_landmarks(with_opening(face, opening))
            np.testing.assert_allclose(rest[13:18], rest[23:18:-1], atol=1e-4)

    def test_a_mouth_that_is_shut_stays_as_it_is(self, face: Face) -> None:
        shut = with_opening(face, 0)
        np.testing.assert_allclose(rest_landmarks(shut), shut.mouth, atol=1e-3)

    def test_it_turns_with_the_face(self, face: Face) -> None:
        turn = turning(70)
        turned = points_in_crop(rest_landmarks(face), turn)
        np.testing.assert_allclose(rest_landmarks(moved(face, turn)), turned, atol=0.01)

    def test_the_portraits_rest_has_its_mouth_shut_where_it_smiles(self, finder: FaceFinder, portrait: Picture) -> None:
        (face,) = finder.faces(portrait)
        rest = rest_landmarks(face)
        assert np.linalg.norm(rest[15] - rest[21]) < 0.01 < np.linalg.norm(face.mouth[15] - face.mouth[21])
        assert np.abs(rest - face.mouth).max() < 0.2 * face.width_px


class TestPixels:
    def test_a_pixel_comes_where_its_point_comes(self, face: Face) -> None:
        picture = np.zeros((500, 600, 3), np.uint8)
        cv2.circle(picture, (280, 350), 6, (255, 255, 255), -1)
        matrix = crop_matrix(face)
        light = crop(picture, matrix)[..., 0].astype(float)
        rows, columns = np.mgrid[:CROP_PX, :CROP_PX]
        found = [(light * axis).sum() / light.sum() for axis in (columns, rows)]
        assert found == pytest.approx(points_in_crop(np.array([[280, 350]], np.float32), matrix)[0].tolist(), abs=0.2)

    def test_a_large_face_is_shrunk_without_aliasing(self) -> None:
        """A checkerboard of single pixels becomes grey."""
        picture = (255 * (np.indices((1600, 1600)).sum(axis=0) % 2)).astype(np.uint8)[..., None].repeat(3, axis=2)
        large = drawn_face((600, 780, 1000, 860))
        assert crop(picture, crop_matrix(large)).astype(float).std() < 3

    @pytest.mark.parametrize("place", [(-20.0, 200.0), (640.0, 470.0), (3000.0, -900.0)])
    def test_beyond_the_picture_its_edge_is_repeated(self, place: tuple[float, float]) -> None:
        picture = np.full((480, 640, 3), 90, np.uint8)
        outside = made_face(*place)
        assert (crop(picture, crop_matrix(outside)) == 90).all()
        (left, top, right, bottom), _ = window_of(crop_matrix(outside), picture.shape)
        assert 0 <= left < right <= 640 and 0 <= top < bottom <= 480
