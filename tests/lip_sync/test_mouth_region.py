"""The blurred mouth and its gradient map, on small pictures whose answers are worked out by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.mouth_region import (
    MOUTH_HUE_DEG,
    Outline,
    blended,
    down_by_landmarks,
    down_by_skin,
    face_mask,
    filled,
    four_channels,
    gradient_kernels,
    gradient_map,
    hsi,
    hull,
    lower_part,
    mean_filtered,
    mouth_and_lower,
    mouth_blurred,
    mouth_mask,
    skin_mask,
    upright,
    upright_matrix,
    ycbcr,
)

Picture = NDArray[np.uint8]
SKIN, LIP, BLUISH_LIP, TOOTH = (200, 150, 100), (200, 100, 100), (200, 100, 120), (240, 240, 240)
DOWN = np.array([0.0, 1.0])


def picture_of(*colours: tuple[int, int, int]) -> Picture:
    """One row of pixels."""
    return np.array([colours], np.uint8)


def mask_of(*rows: str) -> NDArray[np.bool_]:
    return np.array([[letter == "#" for letter in row] for row in rows])


def square(left: int, top: int, right: int, bottom: int) -> NDArray[np.float64]:
    """The corners of a rectangle of pixels, the last ones included."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


class TestHsi:
    def test_without_a_weight_it_is_plain_hsi(self) -> None:
        colours = hsi(picture_of((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90), (0, 0, 0)), 0)
        assert colours.hue_deg[0] == pytest.approx([0, 60, 120, 240, 0, 0], abs=0.05)
        assert colours.saturation[0] == pytest.approx([1, 1, 1, 1, 0, 0], abs=1e-6)
        assert colours.intensity[0] == pytest.approx([1 / 3, 2 / 3, 1 / 3, 1 / 3, 90 / 255, 0], abs=1e-6)

    def test_the_changed_angle_is_the_formula(self) -> None:
        """Skin: R-G 50, R-B 100, G-B 50. Lip: 100, 100, 0. Bluish lip: 100, 80, -20, behind the jump."""
        wanted = [
            math.degrees(math.acos(75 / math.sqrt(2500 + 100 * 50 + 8 * 2500))),
            math.degrees(math.acos(100 / math.sqrt(10000 + 8 * 10000))),
            360 - math.degrees(math.acos(90 / math.sqrt(10000 - 80 * 20 + 8 * 10000))),
        ]
        assert hsi(picture_of(SKIN, LIP, BLUISH_LIP)).hue_deg[0] == pytest.approx(wanted, abs=0.01)
        assert wanted == pytest.approx([63.11, 70.53, 287.62], abs=0.01)

    def test_one_threshold_holds_all_lips_in_the_changed_angle_and_in_no_plain_one(self) -> None:
        row = picture_of(SKIN, LIP, BLUISH_LIP)
        skin, lip, bluish = hsi(row).hue_deg[0]
        assert skin < MOUTH_HUE_DEG < min(lip, bluish)
        skin, lip, bluish = hsi(row, red_weight=0).hue_deg[0]
        assert lip < skin < bluish

    def test_light_and_shade_leave_the_hue_as_it_is(self) -> None:
        bright, dark = picture_of(SKIN, LIP, BLUISH_LIP), picture_of(SKIN, LIP, BLUISH_LIP) // 2
        assert hsi(bright).hue_deg == pytest.approx(hsi(dark).hue_deg, abs=1e-3)

    def test_what_is_no_picture_is_refused(self) -> None:
        with pytest.raises(ParameterError, match=r"give uint8 of shape \(H, W, 3\)"):
            hsi(np.zeros((2, 2, 3), np.float32))
        with pytest.raises(ParameterError, match="give zero or more"):
            hsi(picture_of(SKIN), -1)


class TestMouthMask:
    @pytest.fixture
    def face(self) -> Picture:
        """Nine rows of skin with a mouth of 5 × 3 pixels around a tooth, and a red spot outside."""
        face = np.full((9, 9, 3), SKIN, np.uint8)
        face[5:8, 2:7] = LIP
        face[6, 3:6] = TOOTH
        face[0, 0] = LIP
        return face

    def test_the_mouth_is_what_lips_enclose_within_the_region(self, face: Picture) -> None:
        region = np.zeros((9, 9), np.bool_)
        region[4:] = True
        wanted = np.zeros((9, 9), np.bool_)
        wanted[5:8, 2:7] = True
        np.testing.assert_array_equal(mouth_mask(face, region), wanted)

    def test_green_blue_and_grey_are_no_mouth_though_their_hues_are_above_the_threshold(self) -> None:
        row = picture_of(LIP, (0, 200, 0), (0, 0, 200), (101, 100, 100))
        assert (hsi(row).hue_deg > MOUTH_HUE_DEG).all()
        np.testing.assert_array_equal(mouth_mask(row, np.ones((1, 4), np.bool_), MOUTH_HUE_DEG), [[True] + [False] * 3])

    def test_on_yellower_skin_less_red_lips_are_found(self) -> None:
        """t is 0.7 for these lips and 0.5 for the skin; 68.4 degrees are t = 0.80."""
        row = picture_of(*[SKIN] * 5, (200, 130, 100))
        assert hsi(row).hue_deg[0, 5] < MOUTH_HUE_DEG
        np.testing.assert_array_equal(mouth_mask(row, np.ones((1, 6), np.bool_)), [[False] * 5 + [True]])

    def test_an_empty_region_has_no_mouth(self, face: Picture) -> None:
        assert not mouth_mask(face, np.zeros((9, 9), np.bool_)).any()


class TestSkin:
    def test_ycbcr_of_white_black_and_red_are_those_of_the_standard(self) -> None:
        found = ycbcr(picture_of((255, 255, 255), (0, 0, 0), (255, 0, 0)))[0]
        assert found == pytest.approx(np.array([[235, 128, 128], [16, 128, 128], [81.481, 90.203, 240]]), abs=1e-3)

    def test_the_ellipse_holds_skin_and_neither_grey_nor_blue_nor_green(self) -> None:
        """(200, 150, 120) is Cb 107.4, Cr 152.1, two from the middle of the ellipse; grey is (128, 128), outside."""
        row = picture_of((200, 150, 120), (120, 80, 60), (128, 128, 128), (60, 90, 200), (60, 200, 90))
        np.testing.assert_array_equal(skin_mask(row), [[True, True, False, False, False]])

    def test_the_edge_of_the_ellipse_is_where_its_formula_says(self) -> None:
        every = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), axis=-1).reshape(1, -1, 3)
        cb, cr = ycbcr(every)[0, :, 1].astype(float) - 109.38, ycbcr(every)[0, :, 2].astype(float) - 152.02
        along = math.cos(2.53) * cb + math.sin(2.53) * cr
        across = -math.sin(2.53) * cb + math.cos(2.53) * cr
        inside = ((along - 1.60) / 25.39) ** 2 + ((across - 2.41) / 14.03) ** 2 <= 1
        assert 0.01 < inside.mean() < 0.5
        np.testing.assert_array_equal(skin_mask(every)[0], inside)

    def test_holes_are_filled_and_bays_are_not(self) -> None:
        given = mask_of("####.", "#..#.", "####.", "#.#..")
        np.testing.assert_array_equal(filled(given), mask_of("####.", "####.", "####.", "#.#.."))

    def test_a_hole_that_opens_at_a_corner_only_is_filled(self) -> None:
        np.testing.assert_array_equal(filled(mask_of(".#.", "#.#", ".#.")), mask_of(".#.", "###", ".#."))

    def test_the_hull_holds_what_lies_between(self) -> None:
        given = mask_of("#...#", ".....", "#...#", ".....")
        np.testing.assert_array_equal(hull(given), mask_of("#####", "#####", "#####", "....."))
        assert not hull(np.zeros((2, 2), np.bool_)).any()


class TestLowerPart:
    @pytest.mark.parametrize(
        ("down", "wanted"),
        [
            ((0, 1), ("....", "....", "####", "####")),
            ((0, -1), ("####", "####", "....", "....")),
            ((1, 0), ("..##", "..##", "..##", "..##")),
            ((-1, 0), ("##..", "##..", "##..", "##..")),
        ],
    )
    def test_half_of_the_face_towards_the_chin(self, down: tuple[int, int], wanted: tuple[str, ...]) -> None:
        found = lower_part(np.ones((4, 4), np.bool_), np.array(down, np.float64))
        np.testing.assert_array_equal(found, mask_of(*wanted))

    def test_the_extent_is_that_of_the_mask_and_the_share_is_as_asked(self) -> None:
        face = mask_of("......", ".####.", ".####.", ".####.", ".####.", "......")
        wanted = mask_of("......", "......", "......", "......", ".####.", "......")
        np.testing.assert_array_equal(lower_part(face, DOWN, share=0.25), wanted)

    def test_of_a_face_that_the_edge_cuts_the_whole_counts(self) -> None:
        """Eight rows, of which the upper four are outside the picture: its lower half is all there is."""
        below = lower_part(np.ones((4, 4), np.bool_), DOWN, outline=square(0, -4, 3, 3))
        above = lower_part(np.ones((4, 4), np.bool_), DOWN, outline=square(0, 0, 3, 7))
        assert below.all() and not above.any()

    def test_a_leaning_face_is_cut_across_its_own_axis(self) -> None:
        found = lower_part(np.ones((3, 3), np.bool_), np.array([1, 1]) / math.sqrt(2))
        np.testing.assert_array_equal(found, mask_of("..#", ".##", "###"))

    def test_down_is_from_the_eyes_to_the_mouth(self) -> None:
        eyes, mouth = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[4.0, 4.0]])
        assert down_by_landmarks(eyes, mouth) == pytest.approx([0.6, 0.8])
        with pytest.raises(ParameterError, match="eyes lie on the mouth"):
            down_by_landmarks(eyes, eyes)

    @pytest.mark.parametrize(
        ("skin", "wanted"),
        [
            (("....", "####", "####", "####"), (0, 1)),
            (("####", "####", "####", "...."), (0, -1)),
            (("###.", "###.", "###.", "###."), (-1, 0)),
            ((".###", ".###", ".###", ".###"), (1, 0)),
            (("####", "####", "####", "####"), (0, 1)),
        ],
    )
    def test_without_landmarks_the_chin_is_where_most_skin_is(
        self, skin: tuple[str, ...], wanted: tuple[int, int]
    ) -> None:
        np.testing.assert_array_equal(down_by_skin(mask_of(*skin), np.ones((4, 4), np.bool_)), wanted)


class TestBlur:
    def test_the_mean_of_a_square_with_edges_repeated(self) -> None:
        row = picture_of((9, 0, 90), (0, 0, 0), (0, 0, 0))
        np.testing.assert_allclose(mean_filtered(row, 3)[0, :, 0], [6, 3, 0], atol=1e-5)
        np.testing.assert_allclose(mean_filtered(row, 3)[0, :, 2], [60, 30, 0], atol=1e-5)
        np.testing.assert_array_equal(mean_filtered(row, 1), row)
        with pytest.raises(ParameterError, match="give an odd number"):
            mean_filtered(row, 2)

    def test_half_of_each_intermediate_picture(self) -> None:
        """Sharp 100, mean 50: blurred in both 50, in one of them (100 + 50) / 2, in neither 100."""
        row, mean = picture_of(*[(100, 100, 100)] * 4), np.full((1, 4, 3), 50, np.float32)
        mouth, lower = np.array([[1, 1, 0, 0]], np.bool_), np.array([[1, 0, 1, 0]], np.bool_)
        np.testing.assert_array_equal(blended(row, mean, mouth, lower)[0, :, 0], [50, 75, 75, 100])

    def test_every_face_is_blurred_below_and_nothing_else_is_touched(self) -> None:
        """Two faces of 20 × 20 pixels of chequered skin: half of the contrast is left in the middle of each chin."""
        skin = np.where(np.indices((30, 60)).sum(0)[..., None] % 2 == 0, (200, 150, 120), (180, 130, 100))
        scene = skin.astype(np.uint8)
        faces = [Outline(square(x, 5, x + 19, 24), DOWN) for x in (5, 35)]
        blurred = mouth_blurred(scene, faces)
        changed = (blurred != scene).any(axis=2)
        wanted = np.zeros((30, 60), np.bool_)
        wanted[15:25, 5:25] = wanted[15:25, 35:55] = True
        assert not changed[~wanted].any() and changed[wanted].mean() > 0.95
        for x in (15, 45):
            assert np.ptp(blurred[19:21, x - 1 : x + 1, 0].astype(int)) == pytest.approx(10, abs=2)

    def test_the_mouth_itself_is_blurred_whole(self) -> None:
        """A mouth of 8 × 4 of chequered teeth on even skin; the filter is 5 wide, and no chequers stay."""
        face = np.full((20, 20, 3), SKIN, np.uint8)
        face[12:18, 5:15] = LIP
        face[13:17, 6:14] = np.where(np.indices((4, 8)).sum(0)[..., None] % 2 == 0, 255, 0)
        blurred = mouth_blurred(face, [Outline(square(0, 0, 19, 19), DOWN)])
        middle = blurred[14:16, 8:12, 1].astype(int)
        assert np.ptp(face[14:16, 8:12, 1].astype(int)) == 255 and np.ptp(middle) < 25

    def test_a_turned_face_is_blurred_as_the_upright_one_turned(self) -> None:
        random = np.random.default_rng(0)
        face = np.clip(np.array(SKIN) + random.integers(-9, 10, (24, 24, 1)), 0, 255).astype(np.uint8)
        face[16:20, 8:16] = LIP
        straight = mouth_blurred(face, [Outline(square(2, 2, 21, 21), DOWN)])
        over = mouth_blurred(np.ascontiguousarray(face[::-1]), [Outline(square(2, 2, 21, 21), -DOWN)])
        np.testing.assert_array_equal(over[::-1], straight)

    def test_a_face_in_no_colour_of_skin_is_blurred_by_its_lower_half(self) -> None:
        blue = np.full((10, 10, 3), (60, 90, 200), np.uint8)
        _, lower = mouth_and_lower(blue, Outline(square(1, 1, 8, 8), DOWN))
        wanted = np.zeros((10, 10), np.bool_)
        wanted[5:9, 1:9] = True
        np.testing.assert_array_equal(lower, wanted)

    def test_lips_at_the_edge_of_the_skin_are_within_its_part(self) -> None:
        """Seen from the side: a mouth of no colour of skin, open to the background on its right."""
        face = np.full((12, 12, 3), (200, 150, 120), np.uint8)
        face[8:10, 8:12] = (240, 20, 90)
        assert not skin_mask(face)[8:10, 8:12].any()
        _, lower = mouth_and_lower(face, Outline(square(0, 0, 11, 11), DOWN))
        wanted = np.zeros((12, 12), np.bool_)
        wanted[6:] = True
        np.testing.assert_array_equal(lower, wanted)

    def test_faces_at_and_beyond_the_edge_are_taken(self) -> None:
        scene = np.random.default_rng(1).integers(100, 160, (20, 20, 3), dtype=np.uint8)
        half_outside = mouth_blurred(scene, [Outline(square(-10, 4, 9, 30), DOWN)])
        assert (half_outside[18:, :5] != scene[18:, :5]).any() and (half_outside[:, 10:] == scene[:, 10:]).all()
        np.testing.assert_array_equal(mouth_blurred(scene, [Outline(square(50, 50, 70, 70), DOWN)]), scene)
        np.testing.assert_array_equal(mouth_blurred(scene, []), scene)

    def test_a_filter_wider_than_the_face_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="choose a number above 0, at most 1"):
            mouth_blurred(picture_of(SKIN), [], filter_share=1.5)

    def test_a_polygon_is_filled_with_its_edge(self) -> None:
        np.testing.assert_array_equal(face_mask((3, 4), square(1, 1, 2, 2)), mask_of("....", ".##.", ".##."))


@pytest.mark.parametrize("side", [5, 7])
class TestGradientMap:
    def test_both_kernels_sum_to_zero_and_the_second_is_the_larger(self, side: int) -> None:
        first, second = gradient_kernels(side)
        assert first.shape == (3, 3) and second.shape == (side, side)
        assert first.sum() == 0 and second.sum() == pytest.approx(0, abs=1e-6)

    def test_even_pictures_have_none(self, side: int) -> None:
        assert np.abs(gradient_map(np.full((9, 12, 3), 200, np.uint8), side)).max() < 1e-5

    def test_a_steady_slope_has_none_inside(self, side: int) -> None:
        slope = np.repeat(np.tile(np.arange(0, 200, 10, dtype=np.uint8), (20, 1))[..., None], 3, axis=2)
        assert np.abs(gradient_map(slope, side)[5:-5, 5:-5]).max() < 1e-5

    def test_one_point_spreads_as_far_as_both_kernels_reach(self, side: int) -> None:
        """Grey 0.2. In the middle: 8·A2[0, 0] less the eight around it: (8·4 - 4·2 - 4·1) / 16 = 1.25, for any side."""
        dot = np.zeros((15, 15, 3), np.uint8)
        dot[7, 7] = 51
        found = gradient_map(dot, side)
        reach = 1 + side // 2
        assert found[7, 7] == pytest.approx(0.2 * 1.25, abs=1e-5)
        assert np.abs(found[7 - reach, 7 - reach]) > 1e-4, "a corner"
        outside = np.ones((15, 15), np.bool_)
        outside[7 - reach : 8 + reach, 7 - reach : 8 + reach] = False
        assert np.abs(found[outside]).max() < 1e-6 and found.sum() == pytest.approx(0, abs=1e-4)

    def test_it_tells_blurred_from_sharp(self, side: int) -> None:
        noisy = np.random.default_rng(2).integers(100, 156, (40, 80, 3), dtype=np.uint8)
        half = noisy.copy()
        half[:, :40] = np.round(mean_filtered(noisy, 9)[:, :40])
        strength = np.abs(gradient_map(half, side))
        assert strength[6:-6, 6:34].mean() < 0.2 * strength[6:-6, 46:-6].mean()

    def test_noise_is_lower_than_behind_the_first_kernel_alone(self, side: int) -> None:
        noise = np.random.default_rng(3).integers(118, 139, (60, 60, 1), dtype=np.uint8).repeat(3, axis=2)
        grey = noise[..., 0] / 255
        around = sum(np.roll(grey, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) - grey
        alone = (8 * grey - around)[5:-5, 5:-5]
        assert gradient_map(noise, side)[5:-5, 5:-5].std() < 0.5 * alone.std()

    def test_it_is_the_fourth_channel_and_bounded(self, side: int) -> None:
        hard = np.zeros((16, 16, 3), np.uint8)
        hard[::2, ::2] = 255
        channels = four_channels(hard, side)
        np.testing.assert_allclose(channels[..., :3], hard / 255, atol=1e-6)
        np.testing.assert_array_equal(channels[..., 3], gradient_map(hard, side))
        assert np.abs(channels[..., 3]).max() <= 1


def test_another_side_of_the_second_kernel_is_refused() -> None:
    with pytest.raises(ParameterError, match="choose 5 or 7"):
        gradient_kernels(3)


class TestUpright:
    @pytest.mark.parametrize(("turns", "down"), [(0, (0, 1)), (1, (1, 0)), (2, (0, -1)), (3, (-1, 0))])
    def test_a_turned_picture_is_turned_back_to_the_pixel(self, turns: int, down: tuple[int, int]) -> None:
        straight = np.random.default_rng(4).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        matrix = upright_matrix(np.array([3.5, 3.5]), np.array(down), 8, 8)
        np.testing.assert_array_equal(upright(np.ascontiguousarray(np.rot90(straight, turns)), matrix, 8), straight)

    def test_points_are_taken_where_the_pixels_are(self) -> None:
        """A face whose down is (0.6, 0.8): two steps down from the centre, at twice the size, are four rows down."""
        matrix = upright_matrix(np.array([10.0, 20.0]), np.array([0.6, 0.8]), 10, 20)
        assert matrix @ [10, 20, 1] == pytest.approx([9.5, 9.5])
        assert matrix @ [11.2, 21.6, 1] == pytest.approx([9.5, 13.5])
        assert matrix @ [11.6, 18.8, 1] == pytest.approx([13.5, 9.5]), "to the right of the face as it is shown"

    def test_a_crop_of_nothing_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="give numbers above zero"):
            upright_matrix(np.zeros(2), DOWN, 0, 8)
