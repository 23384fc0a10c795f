"""Points of a face and the mask of a person, on the portrait of an astronaut."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.encoders.faces import LANDMARKS, FaceLandmarker, PersonSegmenter
from core.errors import ParameterError

Picture = NDArray[np.uint8]
NOSE, CHIN = 1, 152
UPPER_LIP, LOWER_LIP, MOUTH_RIGHT, MOUTH_LEFT = 13, 14, 61, 291
EYE_RIGHT, EYE_LEFT = (33, 133), (362, 263)
IRIS_RIGHT, IRIS_LEFT = 468, 473


@pytest.fixture(scope="module")
def faces() -> Iterator[FaceLandmarker]:
    with FaceLandmarker(faces=2) as landmarker:
        yield landmarker


@pytest.fixture
def astronaut(photographs: dict[str, Picture]) -> Picture:
    return photographs["astronaut"]


def distance(points: NDArray[np.float32], first: int, second: int) -> float:
    return float(np.linalg.norm(points[first, :2] - points[second, :2]))


class TestFaceLandmarker:
    def test_the_smile_of_the_astronaut_is_measured(self, faces: FaceLandmarker, astronaut: Picture) -> None:
        (points,) = faces.landmarks(astronaut)
        mouth_width = distance(points, MOUTH_RIGHT, MOUTH_LEFT)
        assert len(points) == LANDMARKS
        assert abs(mouth_width / distance(points, EYE_RIGHT[0], EYE_LEFT[1]) - 0.71) < 0.02
        assert abs(distance(points, UPPER_LIP, LOWER_LIP) / mouth_width - 0.16) < 0.02

    def test_the_parts_of_the_face_lie_where_they_belong(self, faces: FaceLandmarker, astronaut: Picture) -> None:
        (points,) = faces.landmarks(astronaut)
        assert points[NOSE, 1] < points[UPPER_LIP, 1] < points[CHIN, 1]
        assert points[EYE_RIGHT[0], 0] < points[IRIS_RIGHT, 0] < points[EYE_RIGHT[1], 0]
        assert points[EYE_LEFT[0], 0] < points[IRIS_LEFT, 0] < points[EYE_LEFT[1], 0]
        assert points[NOSE, 2] < points[EYE_RIGHT[0], 2], "the nose is nearer to the viewer"

    def test_points_are_pixels_of_a_picture_of_any_shape(self, faces: FaceLandmarker, astronaut: Picture) -> None:
        (points,) = faces.landmarks(astronaut)
        small = np.asarray(Image.fromarray(astronaut[:300]).resize((256, 150)))
        (halved,) = faces.landmarks(small)
        assert np.abs(halved[:, :2] * 2 - points[:, :2]).mean() < 2

    def test_every_face_is_found_where_it_is(self, faces: FaceLandmarker, astronaut: Picture) -> None:
        head = astronaut[:260, 100:360]
        found = sorted(faces.landmarks(np.concatenate([head, head], axis=1)), key=lambda points: points[NOSE, 0])
        assert len(found) == 2
        assert abs(found[1][NOSE, 0] - found[0][NOSE, 0] - 260) < 4

    def test_a_picture_without_a_face_has_none(self, faces: FaceLandmarker, photographs: dict[str, Picture]) -> None:
        assert faces.landmarks(photographs["coffee"]) == []
        assert faces.landmarks(np.zeros((1, 1, 3), np.uint8)) == []

    def test_any_memory_layout_is_taken(self, faces: FaceLandmarker, astronaut: Picture) -> None:
        mirrored = astronaut[:, ::-1]
        (points,), (copied,) = faces.landmarks(mirrored), faces.landmarks(mirrored.copy())
        assert np.array_equal(points, copied)

    def test_what_is_no_picture_is_refused(self, faces: FaceLandmarker) -> None:
        with pytest.raises(ParameterError, match=r"give uint8 of shape \(H, W, 3\)"):
            faces.landmarks(np.zeros((8, 8), np.uint8))
        with pytest.raises(ParameterError, match="look for at least one"):
            FaceLandmarker(faces=0)


class TestPersonSegmenter:
    def test_the_astronaut_is_a_person_and_the_background_is_not(self, astronaut: Picture) -> None:
        with PersonSegmenter() as people:
            mask = people.mask(astronaut)
        assert mask.shape == astronaut.shape[:2] and mask.min() >= 0 and mask.max() <= 1
        assert mask[100:170, 200:245].mean() > 0.95
        assert mask[:40, :40].mean() < 0.05

    def test_the_mask_follows_the_person(self, astronaut: Picture) -> None:
        with PersonSegmenter() as people:
            straight, mirrored = people.mask(astronaut), people.mask(astronaut[:, ::-1])
        assert np.abs(straight - mirrored[:, ::-1]).mean() < 0.05
        with PersonSegmenter() as people, pytest.raises(ParameterError, match="give uint8"):
            people.mask(np.zeros((8, 8, 4), np.uint8))
