"""Faces followed through frames that were made up: who is who, gaps, cuts, smoothing, drawn mouths."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest

from core.errors import ParameterError
from core.lip_sync.faces import OUTER, Face
from core.lip_sync.tracks import (
    FaceFollower,
    FaceTracks,
    FollowConfig,
    bridged,
    face_thumbnail,
    matched,
    overlap,
    smoothed,
    with_drawn_mouths,
)
from tests.lip_sync.made import made_face

PLAIN = FollowConfig(box_sigma_frames=0, point_sigma_frames=0, most_gap_frames=3)


def followed(frames: Iterable[Sequence[Face]], cuts: Sequence[int] = (), config: FollowConfig = PLAIN) -> FaceTracks:
    follower = FaceFollower(config)
    for number, faces in enumerate(frames):
        follower.add(faces, cut=number in cuts)
    return follower.finish()


def spans(film: FaceTracks) -> list[tuple[int, int]]:
    return [(track.start, track.stop) for track in film.tracks]


class TestWhoIsWho:
    def test_two_faces_that_move_keep_their_tracks_in_whatever_order_they_come(self) -> None:
        pairs = [[made_face(100 + 5 * n), made_face(400 - 5 * n)] for n in range(10)]
        film = followed([pair if n % 2 else pair[::-1] for n, pair in enumerate(pairs)])
        assert spans(film) == [(0, 10), (0, 10)]
        for track in film.tracks:
            assert np.abs(np.diff(track.boxes[:, 0])).max() == pytest.approx(5, abs=1e-3)

    def test_a_face_far_from_the_last_one_is_another(self) -> None:
        film = followed([[made_face(100 if n < 5 else 400)] for n in range(10)])
        assert spans(film) == [(0, 5), (5, 10)]
        assert film.frames_without_face == ()

    def test_the_nearer_of_two_goes_on_and_each_is_taken_once(self) -> None:
        before = [made_face(100), made_face(160)]
        assert sorted(matched(before, [made_face(155), made_face(105)], PLAIN)) == [(0, 1), (1, 0)]
        assert matched(before, [made_face(130)], FollowConfig(least_overlap=0.01, most_distance=1)) in (
            [(0, 0)],
            [(1, 0)],
        )

    def test_overlap_is_intersection_over_union(self) -> None:
        boxes = [np.array(box, np.float32) for box in ((0, 0, 4, 2), (2, 0, 6, 2), (4, 0, 5, 1), (1, 1, 1, 1))]
        assert overlap(boxes[0], boxes[1]) == pytest.approx(1 / 3)
        assert overlap(boxes[0], boxes[0]) == 1
        assert overlap(boxes[0], boxes[2]) == overlap(boxes[3], boxes[3]) == 0

    def test_what_is_seen_too_seldom_is_dropped_but_not_in_a_shot_that_is_shorter(self) -> None:
        flicker = [[made_face(100)] + ([made_face(400)] if n in (4, 5) else []) for n in range(10)]
        assert spans(followed(flicker)) == [(0, 10)]
        assert spans(followed([[made_face(100)]])) == [(0, 1)]
        assert spans(followed([[made_face(100)]] * 6, cuts=[2, 3])) == [(0, 2), (2, 3), (3, 6)]

    def test_a_film_without_a_face_has_no_track_and_all_its_frames_are_listed(self) -> None:
        film = followed([[], [], []])
        assert film.tracks == () and film.frames_without_face == (0, 1, 2) and film.faces_at(1) == {}


class TestGaps:
    def test_a_short_gap_is_bridged_on_a_straight_line_and_marked(self) -> None:
        """Seen at x = 100 in frame 2 and at x = 120 in frame 6: frames 3 to 5 lie at 105, 110, 115."""
        places = {0: 100, 1: 100, 2: 100, 6: 120, 7: 120}
        film = followed([[made_face(places[n])] if n in places else [] for n in range(8)])
        (track,) = film.tracks
        middles = track.landmarks[:, OUTER, 0].mean(axis=1)
        assert middles == pytest.approx([100, 100, 100, 105, 110, 115, 120, 120], abs=1e-3)
        assert track.seen.tolist() == [True] * 3 + [False] * 3 + [True] * 2
        assert film.frames_without_face == ()

    @pytest.mark.parametrize(("gap", "wanted"), [(3, [(0, 11)]), (4, [(0, 4), (8, 12)])])
    def test_the_longest_gap_is_as_long_as_stated(self, gap: int, wanted: list[tuple[int, int]]) -> None:
        film = followed([[made_face(100)] if n < 4 or n >= 4 + gap else [] for n in range(8 + gap)])
        assert spans(film) == wanted
        assert film.frames_without_face == (() if gap == 3 else (4, 5, 6, 7))

    def test_frames_before_the_first_and_after_the_last_face_are_listed(self) -> None:
        film = followed([[made_face(100)] if 2 <= n < 6 else [] for n in range(8)])
        assert film.frames_without_face == (0, 1, 6, 7)
        assert film.faces_at(1) == {} and list(film.faces_at(2)) == [0]

    def test_values_lie_on_straight_lines_between_frames(self) -> None:
        values = np.array([[0, 0], [3, 30], [3, 30], [7, 10]], np.float32)
        wanted = [[0, 0], [1, 10], [2, 20], [3, 30], [3, 30], [5, 20], [7, 10]]
        np.testing.assert_allclose(bridged([5, 8, 9, 11], values), wanted, atol=1e-5)


class TestCuts:
    def test_a_track_ends_at_a_cut_even_where_the_next_shot_has_a_face_in_the_same_place(self) -> None:
        film = followed([[made_face(100)]] * 10, cuts=[4])
        assert spans(film) == [(0, 4), (4, 10)] and film.cuts == (4,)
        assert film.shot_of(3) == range(0, 4) and film.shot_of(4) == range(4, 10)

    def test_no_gap_is_bridged_across_a_cut(self) -> None:
        film = followed([[made_face(100)] if n not in (4, 5) else [] for n in range(10)], cuts=[5])
        assert spans(film) == [(0, 4), (6, 10)] and film.frames_without_face == (4, 5)

    def test_smoothing_does_not_look_across_a_cut(self) -> None:
        """The second shot is elsewhere; the first one's values are the same as if it were alone, and the reverse."""
        config = FollowConfig(box_sigma_frames=4, point_sigma_frames=2)
        random = np.random.default_rng(0)
        first, second = ([[made_face(x + random.normal())] for _ in range(9)] for x in (100, 130))
        both = followed(first + second, cuts=[9], config=config)
        for track, alone in zip(
            both.tracks, (followed(first, config=config), followed(second, config=config)), strict=True
        ):
            np.testing.assert_array_equal(track.boxes, alone.tracks[0].boxes)
            np.testing.assert_array_equal(track.landmarks, alone.tracks[0].landmarks)

    def test_the_first_frame_is_no_cut(self) -> None:
        assert followed([[made_face(100)]] * 4, cuts=[0]).cuts == ()


class TestSmoothing:
    def test_steady_movement_stays_to_the_last_frame(self) -> None:
        line = np.linspace(0, 50, 26, dtype=np.float32)[:, None]
        np.testing.assert_allclose(smoothed(line, 3), line, atol=1e-4)

    def test_one_outlier_is_spread_as_a_gaussian(self) -> None:
        values = np.zeros((21, 1), np.float32)
        values[10] = 1
        window = np.array([math.exp(-0.5 * n * n) for n in range(-3, 4)])
        np.testing.assert_allclose(smoothed(values, 1)[7:14, 0], window / window.sum(), atol=1e-6)

    def test_trembling_is_calmed(self) -> None:
        noise = np.random.default_rng(1).normal(size=(400, 2)).astype(np.float32)
        assert smoothed(noise, 4).std() < 0.35 * noise.std()

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_short_tracks_are_taken(self, count: int) -> None:
        values = np.arange(count, dtype=np.float32)[:, None]
        np.testing.assert_allclose(smoothed(values, 4), values, atol=1e-5)

    def test_points_are_smoothed_little_enough_that_a_syllable_stays(self) -> None:
        """A mouth that opens and closes five times a second at 25 frames: 85 of 100 of its movement are left.

        With weights g = exp(-2) beside and g⁴ two away: (1 + 2g·cos 72° + 2g⁴·cos 144°) / (1 + 2g + 2g⁴) = 0.852.
        """
        openings = [10 + 5 * math.sin(2 * math.pi * 5 * n / 25) for n in range(50)]
        film = followed([[made_face(100, opening_px=o)] for o in openings], config=FollowConfig())
        heights = np.ptp(film.tracks[0].landmarks[3:-3, OUTER, 1], axis=1)
        assert np.ptp(heights) == pytest.approx(0.852 * 2 * np.ptp(openings), rel=0.01)


class TestThumbnails:
    def test_it_shows_the_frame_in_which_the_face_is_largest(self) -> None:
        follower = FaceFollower(FollowConfig(thumbnail_px=32))
        for shade, mouth in ((50, 30), (100, 34), (150, 40), (200, 36)):
            follower.add([made_face(100, mouth_px=mouth)], np.full((300, 200, 3), shade, np.uint8))
        (track,) = follower.finish().tracks
        assert track.thumbnail is not None and track.thumbnail.shape == (32, 32, 3)
        assert (track.thumbnail == 150).all()

    def test_it_is_cut_where_the_face_is_in_a_smaller_copy_too(self) -> None:
        """A box of 20 × 20 around (30, 40) with half as much again: columns 15 to 44."""
        picture = np.zeros((80, 60, 3), np.uint8)
        picture[25:55, 15:45] = 200
        picture[30:50, 20:40] = 100
        found = face_thumbnail(picture, np.array([20, 30, 40, 50], np.float32), 30)
        assert found.min() == 100 and (found[5:25, 5:25] == 100).all() and (found[:5] == 200).all()
        large = FaceFollower(FollowConfig(thumbnail_px=30))
        large.add([Face(np.array([40, 60, 80, 100], np.float32), made_face(60).landmarks)], picture, scale=2)
        thumbnail = large.finish().tracks[0].thumbnail
        assert thumbnail is not None and np.array_equal(thumbnail, found)

    def test_a_face_at_the_edge_and_one_outside_have_one(self) -> None:
        picture = np.full((40, 40, 3), 90, np.uint8)
        for box in ((-20, -20, 10, 10), (100, 100, 120, 130)):
            assert (face_thumbnail(picture, np.array(box, np.float32), 16) == 90).all()


class TestDrawnMouths:
    def test_a_mouth_stands_in_its_shot_where_no_face_was_found(self) -> None:
        film = with_drawn_mouths(followed([[]] * 10, cuts=[4]), [(6, (80, 190, 120, 210))])
        (track,) = film.tracks
        assert (track.start, track.stop, track.drawn) == (4, 10, True)
        assert np.ptp(track.landmarks, axis=0).max() == 0 and track.seen.tolist() == [n == 6 for n in range(4, 10)]
        assert film.frames_without_face == (0, 1, 2, 3)
        lips = film.faces_at(9)[0].landmarks[OUTER]
        assert [*lips.min(axis=0), *lips.max(axis=0)] == pytest.approx([80, 190, 120, 210], abs=1e-3)

    def test_between_two_drawn_frames_it_moves_evenly_and_outside_it_stands(self) -> None:
        film = with_drawn_mouths(followed([[]] * 7), [(5, (120, 0, 160, 20)), (1, (80, 0, 120, 20))])
        (track,) = film.tracks
        assert track.landmarks[:, OUTER, 0].min(axis=1) == pytest.approx([80, 80, 90, 100, 110, 120, 120], abs=1e-3)

    def test_it_never_moves_across_a_cut(self) -> None:
        film = with_drawn_mouths(followed([[]] * 6, cuts=[3]), [(2, (80, 0, 120, 20)), (3, (0, 0, 40, 20))])
        assert spans(film) == [(0, 3), (3, 6)]
        assert [np.ptp(track.boxes[:, 0]) for track in film.tracks] == [0, 0]

    def test_found_faces_stay_and_numbers_go_on(self) -> None:
        film = with_drawn_mouths(followed([[made_face(100)]] * 5), [(0, (300, 190, 340, 210))])
        assert [(track.number, track.drawn) for track in film.tracks] == [(0, False), (1, True)]
        assert sorted(film.faces_at(4)) == [0, 1]

    @pytest.mark.parametrize(
        ("mouth", "message"),
        [((7, (0, 0, 4, 4)), "Frame 7 is not in the film; it has 5"), ((0, (4, 0, 0, 4)), "give left < right")],
    )
    def test_what_cannot_be_is_refused(self, mouth: tuple[int, tuple[int, ...]], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            with_drawn_mouths(followed([[]] * 5), [mouth])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: FollowConfig(most_gap_frames=-1), "most_gap_frames"),
        (lambda: FollowConfig(least_overlap=1.5), "least_overlap"),
        (lambda: FollowConfig(point_sigma_frames=float("nan")), "point_sigma_frames"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], FollowConfig], name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name} is .*choose a number from"):
        make()
