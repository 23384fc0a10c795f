"""A still face that speaks: what moves, what does not, and whether an independent model sees it too."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from core.encoders.faces import FaceLandmarker
from core.errors import ParameterError
from core.lip_sync.animator import LIPS, OVAL, WIDEST_GAP, FaceAnimator, HeadPose, mean_mesh, opening_of
from core.lip_sync.inner_mouth import Light, MouthLook, random_look

Picture = NDArray[np.uint8]
Mesh = NDArray[np.float32]
CHIN, NOSE, EYE, LEFT, RIGHT = 152, 4, 133, 234, 454
LOOK = MouthLook()


def asked(opening: float = 0, spread: float = 0, tuck: float = 0, tongue: float = 0) -> NDArray[np.float64]:
    return np.array([opening, spread, tuck, tongue])


@pytest.fixture(scope="module")
def landmarker() -> Iterator[FaceLandmarker]:
    with FaceLandmarker() as faces:
        yield faces


@pytest.fixture(scope="module")
def mesh(landmarker: FaceLandmarker, head: Picture) -> Mesh:
    """Of the astronaut, who smiles with her teeth showing."""
    (points,) = landmarker.landmarks(head)
    return points


@pytest.fixture(scope="module")
def animator(head: Picture, mesh: Mesh) -> FaceAnimator:
    return FaceAnimator(head, mesh, LOOK)


def face_px(mesh: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(mesh[RIGHT, :2] - mesh[LEFT, :2]))


def mouth_of(picture: Picture, mesh: NDArray[np.floating]) -> NDArray[np.int64]:
    """The pixels within the outer lips' box."""
    left, top = mesh[LIPS[3], :2].min(axis=0).astype(int)
    right, bottom = mesh[LIPS[3], :2].max(axis=0).astype(int) + 1
    return picture[top:bottom, left:right].astype(np.int64)


class TestLips:
    def test_opening_nothing_shuts_the_lips_of_a_smile_and_its_teeth_are_gone(
        self, animator: FaceAnimator, head: Picture, mesh: Mesh
    ) -> None:
        shut = animator.frame(asked())
        assert opening_of(mesh) > 0.1 and opening_of(shut.mesh) < 1e-5
        yellow = [mouth_of(p, m) for p, m in ((head, mesh), (shut.picture, shut.mesh))]
        teeth = [((p[..., 1] > 215) & (p[..., 0] - p[..., 1] < 15)).sum() for p in yellow]
        assert teeth[0] > 30 and teeth[1] == 0

    def test_the_dark_cavity_is_there_only_when_the_mouth_is_open(self, animator: FaceAnimator) -> None:
        dark = [
            (mouth_of(frame.picture, frame.mesh).max(axis=2) < 75).sum()
            for frame in (animator.frame(asked(opening)) for opening in (0, 0.4, 1))
        ]
        assert dark[0] <= 3 and 30 < dark[1] < dark[2]

    def test_the_gap_grows_with_the_opening_up_to_the_widest(self, animator: FaceAnimator) -> None:
        gaps = [opening_of(animator.frame(asked(opening)).mesh) for opening in np.linspace(0, 1, 11)]
        assert (np.diff(gaps) > 0.03).all()
        assert gaps[-1] == pytest.approx(WIDEST_GAP, abs=0.06)

    def test_spread_takes_the_corners_out_and_round_takes_them_in(self, animator: FaceAnimator) -> None:
        wide, rest, rounded = (face_px_of_mouth(animator.frame(asked(0.2, spread)).mesh) for spread in (1, 0, -1))
        assert rounded < 0.8 * rest < rest < 0.93 * wide

    def test_tuck_brings_the_lower_lip_up_to_the_upper_teeth(self, animator: FaceAnimator) -> None:
        plain, tucked = (animator.frame(asked(0.3, tuck=tuck)).mesh for tuck in (0, 1))
        assert 0 < opening_of(tucked) < 0.7 * opening_of(plain)
        lower_lip = [np.linalg.norm(m[LIPS[3][5]] - m[LIPS[0][5]]) for m in (tucked, plain)]
        assert lower_lip[0] < 0.75 * lower_lip[1]

    def test_the_raised_tongue_reddens_the_mouth(self, animator: FaceAnimator) -> None:
        low, high = (animator.frame(asked(0.5, tongue=tongue)) for tongue in (0, 1))
        np.testing.assert_array_equal(low.mesh, high.mesh)
        redness = [(p[..., 0] - p[..., 1]).mean() for p in (mouth_of(f.picture, f.mesh) for f in (low, high))]
        assert redness[1] > redness[0] + 3


def face_px_of_mouth(mesh: Mesh) -> float:
    return float(np.linalg.norm(mesh[LIPS[3][10]] - mesh[LIPS[3][0]]))


class TestJaw:
    def test_the_chin_goes_along_and_the_upper_face_does_not(self, animator: FaceAnimator) -> None:
        shut, wide = (animator.frame(asked(opening)).mesh for opening in (0, 1))
        moved = np.linalg.norm(wide - shut, axis=1) / face_px(shut)
        assert moved[CHIN] > 0.08
        assert moved[LIPS[0][5]] > moved[CHIN] > moved[205] > 1e-3 > moved[[NOSE, EYE, 10, 468, 473]].max()

    def test_it_lowers_the_chin_along_the_face_and_not_along_the_picture(self, head: Picture, mesh: Mesh) -> None:
        """The picture lies on its side: the chin moves sideways."""
        turned = np.ascontiguousarray(np.rot90(head))
        lying = mesh[:, [1, 0, 2]] * (1, -1, 1) + (0, head.shape[1], 0)
        animator = FaceAnimator(turned, lying.astype(np.float32), LOOK)
        step = animator.frame(asked(1)).mesh[CHIN] - animator.frame(asked()).mesh[CHIN]
        assert step[0] > 5 and abs(step[1]) < 0.3 * step[0]


class TestPose:
    def test_the_head_turns_right_up_and_clockwise(self, animator: FaceAnimator) -> None:
        """Seen by the nose, which stands out from the plane of eyes and ears."""
        still = animator.frame(asked()).mesh
        right, up, clockwise = (
            animator.frame(asked(), pose).mesh for pose in (HeadPose(10), HeadPose(0, 10), HeadPose(0, 0, 10))
        )
        assert ((right - still)[NOSE] - (right - still)[[LEFT, RIGHT]].mean(axis=0))[0] > 5
        assert ((up - still)[NOSE] - (up - still)[[LEFT, RIGHT]].mean(axis=0))[1] < -5
        slopes = [np.degrees(np.arctan2(*(m[RIGHT] - m[LEFT])[::-1])) for m in (still, clockwise)]
        assert slopes[1] - slopes[0] == pytest.approx(10, abs=1)

    def test_a_shift_moves_all_points_alike(self, animator: FaceAnimator) -> None:
        still, moved = (animator.frame(asked(0.4), HeadPose(right=x, down=-x)).mesh for x in (0, 0.1))
        np.testing.assert_allclose(moved - still, np.full((478, 2), (moved - still)[NOSE]), atol=1e-3)
        assert (moved - still)[NOSE] == pytest.approx([8.5, -8.5], abs=3)

    def test_the_picture_moves_with_the_mesh(self, animator: FaceAnimator) -> None:
        still, moved = (animator.frame(asked(), HeadPose(right=x)) for x in (0, 0.1))
        (x, y), (there, same) = (np.round(frame.mesh[168]).astype(int) for frame in (still, moved))
        patches = [
            f.picture[b - 12 : b + 12, a - 12 : a + 12].astype(int)
            for f, a, b in ((still, x, y), (moved, there, same), (moved, x, y))
        ]
        assert np.abs(patches[1] - patches[0]).mean() < 0.5 * np.abs(patches[2] - patches[0]).mean()


class TestPicture:
    def test_far_from_the_face_nothing_changes_unless_the_head_moves(
        self, animator: FaceAnimator, head: Picture, mesh: Mesh
    ) -> None:
        wide = animator.frame(asked(0.9, -0.5)).picture
        eyes = slice(0, int(mesh[EYE, 1]) + 4)
        assert np.abs(wide[eyes].astype(int) - head[eyes]).max() <= 1
        assert np.abs(wide[:, :20].astype(int) - head[:, :20]).max() <= 1
        nodding = animator.frame(asked(), HeadPose(pitch_deg=8)).picture
        assert np.abs(nodding[eyes].astype(int) - head[eyes]).mean() > 3

    def test_the_same_request_gives_the_same_frame_whatever_came_between(self, animator: FaceAnimator) -> None:
        first = animator.frame(asked(0.5, 0.3, 0.2, 0.4), HeadPose(3, -2, 1))
        animator.frame(asked(1, -1))
        again = animator.frame(asked(0.5, 0.3, 0.2, 0.4), HeadPose(3, -2, 1))
        np.testing.assert_array_equal(first.picture, again.picture)
        np.testing.assert_array_equal(first.mesh, again.mesh)

    def test_a_grey_photograph_stays_grey(self, head: Picture, mesh: Mesh) -> None:
        grey = np.repeat(head.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
        spoken = FaceAnimator(grey, mesh, LOOK).frame(asked(0.8)).picture.astype(int)
        assert np.ptp(spoken, axis=2).max() <= 4

    def test_a_dim_photograph_has_a_dim_mouth(self, head: Picture, mesh: Mesh, animator: FaceAnimator) -> None:
        bright = animator.frame(asked(0.6))
        dim = FaceAnimator((head * 0.4).astype(np.uint8), mesh, LOOK).frame(asked(0.6))
        inside = [np.percentile(mouth_of(f.picture, f.mesh), 90) for f in (dim, bright)]
        assert inside[0] < 0.7 * inside[1]

    def test_a_mouth_at_the_edge_of_the_picture_is_drawn_as_far_as_it_is_seen(self, head: Picture, mesh: Mesh) -> None:
        cut = round(float(mesh[LIPS[0][5], 1]))
        half = FaceAnimator(np.ascontiguousarray(head[:cut]), mesh, LOOK).frame(asked(1)).picture
        whole = FaceAnimator(head, mesh, LOOK).frame(asked(1)).picture[:cut]
        assert np.abs(half.astype(int) - whole).mean() < 1


class TestIndependentModel:
    """What the landmark model measures on the frames, which the animator never asks."""

    def test_it_sees_the_mouth_open_as_far_as_asked(self, animator: FaceAnimator, landmarker: FaceLandmarker) -> None:
        openings = np.linspace(0, 1, 9)
        seen = [opening_of(landmarker.landmarks(animator.frame(asked(o)).picture)[0][:, :2]) for o in openings]
        assert np.corrcoef(openings, seen)[0, 1] > 0.95
        assert seen[0] < 0.06 and seen[-1] > 0.35

    @pytest.mark.parametrize("pose", [HeadPose(), HeadPose(8, 0, 4), HeadPose(-8, 5, 0, 0.05), HeadPose(0, -6, -6)])
    def test_it_finds_the_points_where_the_mesh_says(
        self, pose: HeadPose, animator: FaceAnimator, landmarker: FaceLandmarker
    ) -> None:
        frame = animator.frame(asked(0.5, 0.2), pose)
        (found,) = landmarker.landmarks(frame.picture)
        away = np.linalg.norm(found[:, :2] - frame.mesh, axis=1) / face_px(frame.mesh)
        assert away.mean() < 0.03
        assert away[LIPS.reshape(-1)].mean() < 0.03

    def test_it_finds_a_turned_face_turned_further(self, landmarker: FaceLandmarker, animator: FaceAnimator) -> None:
        yaws = []
        for yaw in (-10, 0, 10):
            (found,) = landmarker.landmarks(animator.frame(asked(), HeadPose(yaw)).picture)
            yaws.append((2 * found[NOSE, 0] - found[LEFT, 0] - found[RIGHT, 0]) / face_px(found))
        assert yaws[0] < yaws[1] - 0.05 < yaws[2] - 0.1


class TestMeanMesh:
    def test_its_triangles_are_those_of_mediapipe_and_close_the_eyes(self) -> None:
        from mediapipe.tasks.python import vision

        links = vision.FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION
        theirs = {frozenset((links[n].start, links[n].end, links[n + 1].end)) for n in range(0, len(links), 3)}
        ours = [frozenset(map(int, triangle)) for triangle in mean_mesh()[1]]
        assert theirs <= set(ours) and len(set(ours)) == len(ours) == len(theirs) + 28
        edges: dict[frozenset[int], int] = {}
        for first, second, third in mean_mesh()[1].tolist():
            for edge in ((first, second), (second, third), (third, first)):
                edges[frozenset(edge)] = edges.get(frozenset(edge), 0) + 1
        open_ends = {point for edge, count in edges.items() if count == 1 for point in edge}
        assert open_ends == {*OVAL.tolist(), *LIPS[0].tolist()}, "holes: around the face, and between the lips"

    def test_it_is_a_face_with_shut_lips_the_same_on_either_side(self) -> None:
        points = mean_mesh()[0]
        assert opening_of(points) < 0.03
        for left, right in ((LEFT, RIGHT), (33, 263), (61, 291), (468, 473)):
            np.testing.assert_allclose(points[left], points[right] * (-1, 1, 1), atol=0.01)


class TestLooks:
    def test_whiter_teeth_are_brighter_and_a_darker_cavity_is_darker(self, head: Picture, mesh: Mesh) -> None:
        def inside(look: MouthLook) -> NDArray[np.int64]:
            frame = FaceAnimator(head, mesh, look).frame(asked(0.7))
            return mouth_of(frame.picture, frame.mesh)

        ivory, white = inside(MouthLook(whiteness=0)), inside(MouthLook(whiteness=1))
        assert white[..., 2].mean() > ivory[..., 2].mean() + 3
        assert inside(MouthLook(darkness=1)).sum() < inside(MouthLook(darkness=0)).sum()

    def test_the_lit_side_of_the_mouth_is_brighter(self) -> None:
        dark, bright = (np.full(3, value, np.float32) for value in (90, 180))
        left, right = Light(dark, bright).on_white().mean(axis=1)
        assert right > 1.3 * left

    def test_a_seed_names_one_look(self) -> None:
        assert random_look(3) == random_look(3) != random_look(4)


class TestRefusals:
    @pytest.mark.parametrize("values", [(1.1, 0, 0, 0), (0, -1.2, 0, 0), (0, 0, 0, float("nan")), (0, 0, 0)])
    def test_an_articulation_out_of_range(self, animator: FaceAnimator, values: tuple[float, ...]) -> None:
        with pytest.raises(ParameterError, match="-1 to 1 for the second"):
            animator.frame(np.array(values))

    def test_a_mesh_of_another_shape_or_without_extent(self, head: Picture, mesh: Mesh) -> None:
        with pytest.raises(ParameterError, match="478 finite points"):
            FaceAnimator(head, mesh[:468], LOOK)
        with pytest.raises(ParameterError, match="give a larger face"):
            FaceAnimator(head, mesh * 0.005, LOOK)

    def test_a_look_or_a_pose_out_of_range(self) -> None:
        with pytest.raises(ParameterError, match="tooth_size is 3"):
            MouthLook(tooth_size=3)
        with pytest.raises(ParameterError, match="yaw_deg is 40"):
            HeadPose(40)
