"""The layout vector, held to its definition on the network's own feature maps."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from core.encoders.efficientnet_lite import EfficientNetLite, stage_ends
from core.encoders.image import EfficientNetLiteEncoder, LayoutEncoder, image_encoder


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Three pictures, blocks of colour on the left and nothing on the right; the last is the first, mirrored."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8).repeat(28, 1).repeat(28, 2)
    coarse[:, :, 112:] = 128
    return np.concatenate([coarse, coarse[:1, :, ::-1]])


def quarters(feature_map: Tensor) -> Iterator[Tensor]:
    height, width = (-(-n // 2) for n in feature_map.shape[2:])
    for rows in (slice(None, height), slice(-height, None)):
        for columns in (slice(None, width), slice(-width, None)):
            yield feature_map[:, :, rows, columns].mean((2, 3))


@torch.inference_mode()
def test_it_is_the_quarters_of_three_maps_and_the_picture_vector_each_of_unit_length() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite("lite0").eval().requires_grad_(False)
    x = torch.randn(2, 3, 224, 224)
    maps, y = {}, network.stem(x)
    for index, block in enumerate(network.blocks):
        y = maps[index] = block(y)
    ends = stage_ends(network.variant)
    expected = [torch.stack(list(quarters(maps[ends[s]])), 2).flatten(1) for s in (2, 4, 5)]
    expected.append(network.embed(x))
    unit = torch.cat([part / part.norm(dim=1, keepdim=True) for part in expected], 1)
    torch.testing.assert_close(network.layout(network.shallow(x)), unit, atol=1e-5, rtol=1e-4)


def test_its_last_part_points_where_the_picture_vector_does_and_the_rest_knows_left_from_right(
    pictures: np.ndarray,
) -> None:
    layout, plain = image_encoder("efficientnet_lite0_layout"), EfficientNetLiteEncoder("lite0")
    assert isinstance(layout, LayoutEncoder)
    vectors, means = layout.encode(pictures), plain.encode(pictures)
    np.testing.assert_allclose(vectors[:, -1280:], means / np.linalg.norm(means, axis=1, keepdims=True), atol=2e-3)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    where = vectors[:, :-1280]
    assert 1 - cosine(where[0], where[2]) > 3 * (1 - cosine(means[0], means[2]))
    np.testing.assert_array_equal(vectors[:1], layout.encode(pictures[:1]))
