"""Drawn faces: picture and mesh agree, figures differ, and they speak like photographs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.animator import LIPS, OVAL, FaceAnimator, mean_mesh, opening_of
from core.lip_sync.cartoons import cartoon
from core.lip_sync.inner_mouth import MouthLook

SEEDS = range(24)


def at(picture: NDArray[np.uint8], point: NDArray[np.floating]) -> NDArray[np.int64]:
    return picture[int(point[1]), int(point[0])].astype(np.int64)


def test_a_seed_names_one_figure_and_others_differ() -> None:
    (first, mesh), (again, same), (other, _) = cartoon(5), cartoon(5), cartoon(6)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(mesh, same)
    assert np.abs(first.astype(int) - other).mean() > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mesh_is_that_of_a_face_within_the_picture_with_shut_lips(seed: int) -> None:
    picture, mesh = cartoon(seed)
    assert (mesh[:, :2] > 0).all() and (mesh[:, :2] < picture.shape[0]).all()
    assert opening_of(mesh[:, :2]) < 0.02
    eyes, nose, mouth, chin = mesh[[33, 263], 1].mean(), mesh[4, 1], mesh[LIPS[3], 1], mesh[152, 1]
    assert eyes < nose < mouth.min() < mouth.max() < chin


def test_the_mesh_is_not_folded_where_the_average_one_is_not() -> None:
    mean, triangles = mean_mesh()

    def areas(points: NDArray[np.floating]) -> NDArray[np.floating]:
        first, second = (points[triangles[:, n], :2] - points[triangles[:, 0], :2] for n in (1, 2))
        return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]

    before = areas(mean)
    clear = np.abs(before) > 1e-4
    folded = [float((areas(cartoon(seed, 64)[1])[clear] * before[clear] < 0).mean()) for seed in SEEDS]
    assert np.mean(folded) < 0.01 and max(folded) < 0.05


def test_the_seam_of_the_lips_is_drawn_where_the_mesh_has_it() -> None:
    """It is darker than the chin in every figure."""
    for seed in SEEDS:
        picture, mesh = cartoon(seed)
        assert at(picture, mesh[13]).sum() < at(picture, mesh[[17, 152]].mean(axis=0)).sum(), seed


def test_the_edge_of_the_face_is_drawn_where_the_mesh_has_it() -> None:
    """Across the cheek's edge the colour changes more than within the cheek."""
    ratios = []
    for seed in SEEDS:
        picture, mesh = cartoon(seed)
        edge, middle = mesh[OVAL[11], :2], mesh[4, :2]
        beyond, within, deeper = (at(picture, middle + share * (edge - middle)) for share in (1.12, 0.88, 0.7))
        ratios.append(np.abs(beyond - within).sum() / (1 + np.abs(within - deeper).sum()))
    assert np.median(ratios) > 2


def test_figures_speak_like_photographs() -> None:
    for seed in range(8):
        animator = FaceAnimator(*cartoon(seed), MouthLook())
        shut, wide = (animator.frame(np.array([opening, 0, 0, 0])) for opening in (0, 0.8))
        assert opening_of(shut.mesh) < 1e-5 and opening_of(wide.mesh) > 0.35
        inner = wide.mesh[LIPS[0]]
        middle = inner[[5, 15]].mean(axis=0)
        assert np.abs(at(wide.picture, middle) - at(shut.picture, middle)).sum() > 30, seed


def test_a_larger_picture_holds_the_same_figure() -> None:
    (small, mesh), (large, twice) = cartoon(3, 128), cartoon(3, 256)
    np.testing.assert_allclose(2 * mesh, twice, rtol=1e-4, atol=1e-3)
    halved = large.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small).mean() < 6


def test_a_tiny_picture_is_refused() -> None:
    with pytest.raises(ParameterError, match="give at least 64"):
        cartoon(0, 32)
