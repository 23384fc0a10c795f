"""Faces of a portrait, and faces around a drawn mouth."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.encoders.faces import FaceLandmarker
from core.errors import ParameterError
from core.lip_sync.faces import CHIN, EYES, INNER, MOUTH, NOSE, OUTER, OVAL, Face, FaceFinder, drawn_face, face_of
from core.lip_sync.mouth_region import face_mask, mouth_and_lower, mouth_blurred

Picture = NDArray[np.uint8]


class TestFaceFinder:
    def test_the_portrait_has_one_smiling_face_and_its_parts_lie_in_order(
        self, finder: FaceFinder, portrait: Picture
    ) -> None:
        (face,) = finder.faces(portrait)
        points = face.landmarks
        eyes, nose, chin = points[EYES, 1].mean(), points[NOSE, 1], points[CHIN, 1]
        assert eyes < nose < face.mouth[:24, 1].min() < face.mouth[:24, 1].max() < chin
        assert chin == pytest.approx(points[OVAL, 1].max(), abs=3)
        assert face.openness == pytest.approx(0.16, abs=0.03)
        assert face.outline.down is not None and face.outline.down[1] > 0.95
        assert 0.5 < face.width_px / (face.box[3] - face.box[1]) < 1

    def test_the_inner_edge_of_the_lips_lies_within_the_outer_one(self, finder: FaceFinder, portrait: Picture) -> None:
        (face,) = finder.faces(portrait)
        outer, inner = face.landmarks[OUTER], face.landmarks[INNER]
        middle = outer.mean(axis=0)
        assert (np.linalg.norm(inner - middle, axis=1) < np.linalg.norm(outer - middle, axis=1) + 0.5).all()
        assert (outer[1:10, 1] > outer[11:20, 1]).all(), "from the left corner the lower lip comes first"

    def test_the_points_are_those_of_the_mesh(self, finder: FaceFinder, portrait: Picture) -> None:
        with FaceLandmarker() as landmarker:
            (mesh,) = landmarker.landmarks(portrait)
        (face,) = finder.faces(portrait)
        np.testing.assert_allclose(face.landmarks[NOSE], mesh[1, :2], atol=0.01)
        np.testing.assert_allclose(face.landmarks[CHIN], mesh[152, :2], atol=0.01)
        np.testing.assert_allclose(face_of(mesh[:, :2]).box, face.box, atol=0.01)

    def test_faces_come_from_left_to_right(self, finder: FaceFinder, head: Picture) -> None:
        first, second = finder.faces(np.concatenate([head, head[:, ::-1]], axis=1))
        assert first.box[2] < 240 < second.box[0]

    def test_points_of_a_smaller_copy_are_given_in_pixels_of_the_film(
        self, finder: FaceFinder, portrait: Picture
    ) -> None:
        (face,), (same,) = finder.faces(portrait), finder.faces(portrait[::2, ::2], scale=2)
        assert np.abs(face.landmarks - same.landmarks).mean() < 3

    def test_a_picture_without_a_face_has_none(self, finder: FaceFinder) -> None:
        assert finder.faces(np.full((64, 64, 3), 128, np.uint8)) == []

    def test_the_blurred_mouth_of_the_portrait_is_the_lower_half_of_the_face(
        self, finder: FaceFinder, portrait: Picture
    ) -> None:
        """Lips are found by their colour, skin by its ellipse, and the eyes stay as they were."""
        (face,) = finder.faces(portrait)
        mouth, lower = mouth_and_lower(portrait, face.outline)
        left, top = face.landmarks[OUTER].min(axis=0).astype(int)
        right, bottom = face.landmarks[OUTER].max(axis=0).astype(int) + 1
        assert mouth[top:bottom, left:right].mean() > 0.6 > 0.35 > mouth[lower].mean()
        assert lower[top:bottom, left:right].mean() > 0.95
        blurred = mouth_blurred(portrait, [face.outline])
        eyes = slice(0, int(face.landmarks[EYES, 1].max()) + 4)
        np.testing.assert_array_equal(blurred[eyes], portrait[eyes])
        before, after = (np.diff(p[top:bottom, left:right].astype(int), axis=1) for p in (portrait, blurred))
        assert np.abs(after).mean() < 0.4 * np.abs(before).mean()


def test_the_outline_of_a_face_seen_from_the_side_holds_its_lips() -> None:
    """The lips are moved beyond the oval, as they are in a profile."""
    face = drawn_face((80, 190, 120, 210))
    points = face.landmarks.copy()
    points[OUTER.start :, 0] += 70
    aside = Face(face.box, points)
    inside = face_mask((260, 260), aside.outline.points)
    assert all(inside[round(float(y)), round(float(x))] for x, y in points[OUTER])
    assert points[OUTER, 0].max() > points[OVAL, 0].max() + 10


class TestDrawnFace:
    @pytest.fixture
    def face(self) -> Face:
        return drawn_face((80, 190, 120, 210))

    def test_the_lips_fill_the_box(self, face: Face) -> None:
        outer = face.landmarks[OUTER]
        assert [*outer.min(axis=0), *outer.max(axis=0)] == pytest.approx([80, 190, 120, 210], abs=1e-4)
        assert face.openness == pytest.approx(10 / 36)

    def test_the_rest_of_the_face_lies_where_it_does_on_an_average_one(self, face: Face) -> None:
        """Mouth width 40: 104 wide, eyes 54 and brow 92 above the middle of the mouth, chin 30 below it."""
        assert face.box == pytest.approx([48, 108, 152, 230], abs=1e-3)
        assert face.landmarks[EYES, 1] == pytest.approx(146)
        assert face.landmarks[CHIN] == pytest.approx([100, 230], abs=1e-3)
        assert face.outline.down == pytest.approx([0, 1], abs=1e-6)

    def test_it_has_the_order_and_the_proportions_of_a_found_one(self, finder: FaceFinder, portrait: Picture) -> None:
        """Drawn around the mouth of the portrait, its points are near the found ones, those of the mouth nearest."""
        (found,) = finder.faces(portrait)
        outer = found.landmarks[OUTER]
        drawn = drawn_face((*outer.min(axis=0), *outer.max(axis=0)))
        distance = np.linalg.norm(drawn.landmarks - found.landmarks, axis=1) / found.width_px
        assert distance.max() < 0.35 and distance.mean() < 0.12
        assert distance[list(MOUTH[:24])].max() < 0.1

    @pytest.mark.parametrize("box", [(10, 10, 10, 20), (10, 20, 20, 10), (0, 0, float("nan"), 1)])
    def test_an_empty_box_is_refused(self, box: tuple[float, float, float, float]) -> None:
        with pytest.raises(ParameterError, match="give left < right and top < bottom"):
            drawn_face(box)
