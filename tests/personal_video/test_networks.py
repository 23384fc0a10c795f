"""The blocks and networks: kernels pulled apart, attention, fitted maps, copies."""

import pytest
import torch
import torch.nn.functional as F

from core.personal_video.blocks import Attention, SpatialBlock, attended, places
from core.personal_video.copying import Copies, _drawn, fitted_maps
from core.personal_video.losses import flow_loss, place_error_px, place_losses
from tests.personal_video.made import given, small_network


def test_kernels_pulled_apart_see_each_of_the_interleaved_grids_as_the_kernels_saw_theirs() -> None:
    """Oracle of re-dilation: every second cell of a larger grid is a grid of the size that training saw."""
    block, large = SpatialBlock(8), torch.randn(1, 8, 12, 12)
    with torch.no_grad():
        apart = block(large, dilation=2)
        for row in (0, 1):
            for column in (0, 1):
                torch.testing.assert_close(
                    apart[..., row::2, column::2], block(large[..., row::2, column::2]), atol=1e-5, rtol=1e-4
                )
        assert not torch.allclose(apart, block(large))


@pytest.mark.parametrize("keys", [5, 300])
def test_attention_is_what_torch_says_it_is(keys: int) -> None:
    query, key, value = torch.randn(2, 3, 40, 8), torch.randn(2, 3, keys, 8), torch.randn(2, 3, keys, 8)
    mask = torch.randn(2, 1, 1, keys)
    mask[..., 1] = -torch.inf
    for bias in (None, mask):
        torch.testing.assert_close(
            attended(query, key, value, bias), F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        )


def test_what_is_hidden_from_attention_does_not_matter_even_when_nothing_is_left() -> None:
    attention, tokens, context = Attention(32, 16), torch.randn(2, 4, 32), torch.randn(2, 3, 16)
    bias = torch.full((2, 3), -torch.inf)
    found = attention(tokens, context, bias)
    assert torch.isfinite(found).all() and torch.equal(found, attention(tokens, context + 5, bias))


def test_a_fitted_map_is_that_of_least_squares() -> None:
    torch.manual_seed(1)
    grid, votes, weights = places(6, 6).flatten(0, 1), torch.randn(36, 2), torch.rand(36)
    prior = torch.randn(2, 3)
    points = torch.cat([grid, torch.ones(36, 1)], 1)
    ridge = 0.3**0.5
    left = torch.cat([points * weights[:, None].sqrt(), ridge * torch.eye(3)])
    right = torch.cat([votes * weights[:, None].sqrt(), ridge * prior.T])
    torch.testing.assert_close(
        fitted_maps(grid, votes, weights, prior), torch.linalg.lstsq(left, right).solution.T, atol=1e-4, rtol=1e-4
    )


def test_where_cells_agree_the_prior_hardly_matters() -> None:
    true = torch.tensor([[1.5, -0.4, 0.2], [0.4, 1.5, -0.1]])
    grid = places(16, 16).flatten(0, 1)
    votes = grid @ true[:, :2].T + true[:, 2]
    fitted = fitted_maps(grid, votes, torch.ones(256), torch.zeros(2, 3))
    assert (fitted - true).abs().max() < 0.01


@pytest.mark.parametrize("side", [32, 64])
def test_a_square_drawn_through_a_map_is_the_same_picture_at_any_size(side: int) -> None:
    """Frames of twice the size from squares of twice the size, made smaller again, are the frames."""
    smooth = F.interpolate(torch.rand(1, 4, 5, 5), size=(side, side), mode="bicubic").clamp(0, 1)
    maps = torch.tensor([[[1.4, 0.3, 0.1], [-0.3, 1.4, 0.0]]])[None, None]
    colours, opacities = _drawn(smooth[None], maps, (side, side))
    twice = F.interpolate(smooth, scale_factor=2.0, mode="bilinear")
    large_colours, large_opacities = _drawn(twice[None], maps, (2 * side, 2 * side))
    for one, other in ((colours, large_colours), (opacities, large_opacities)):
        assert (F.avg_pool2d(other.flatten(0, 2), 2) - one.flatten(0, 2)).abs().mean() < 0.02


def test_copies_lie_over_pixels_and_later_ones_in_front() -> None:
    ones = torch.ones(1, 1, 1, 1, 2, 2)
    colours = torch.cat([0.2 * ones, 0.6 * ones], 1).expand(-1, -1, -1, 3, -1, -1)
    opacities = torch.cat([ones, 0.75 * ones], 1)
    nothing = torch.zeros(0)
    copies = Copies(colours, opacities, nothing, nothing, nothing)
    pixels = torch.full((1, 1, 3, 2, 2), -1.0)
    torch.testing.assert_close(copies.over(pixels, ones[:, 0])[0, 0, 0, 0, 0], torch.tensor(0.2 * 0.25 + 0.6))
    torch.testing.assert_close(copies.over(pixels, 0 * ones[:, 0]), pixels)


def test_the_network_does_not_look_from_one_clip_of_a_batch_to_another() -> None:
    network, what = small_network(), given()
    noise, level = torch.randn(2, 4, 3, 32, 32), torch.tensor([0.3, 0.3])
    with torch.no_grad():
        condition = network.conditioner("a", what)
        one = network.generation(noise, level, condition).clip
        noise[1] = 0
        other = network.generation(noise, level, condition).clip
    torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(one[1], other[1])


def test_frames_see_each_other() -> None:
    network, noise, level = small_network(), torch.randn(2, 4, 3, 32, 32), torch.tensor([0.3, 0.3])
    with torch.no_grad():
        condition = network.conditioner("d", given())
        one = network.generation(noise, level, condition).clip
        noise[:, 3] = 0
        other = network.generation(noise, level, condition).clip
    assert not torch.allclose(one[:, 0], other[:, 0], atol=1e-4)


def test_the_flow_loss_is_the_squared_error_of_the_flow() -> None:
    clip, noise, made = (torch.randn(2, 4, 3, 8, 8) for _ in range(3))
    level = torch.tensor([0.2, 0.7])
    spread = level[:, None, None, None, None]
    noisy = (1 - spread) * noise + spread * clip
    flow, told = clip - noise, (made - noisy) / (1 - spread)
    torch.testing.assert_close(flow_loss(made, clip, level), (flow - told).square().mean((1, 2, 3, 4)))


def test_places_are_right_where_maps_are_true_and_one_pixel_off_where_they_are_moved_by_one() -> None:
    true = torch.tensor([[2.0, 0.5, 0.1], [-0.5, 2.0, 0.0]]).expand(1, 1, 1, 4, 2, 3).clone()
    masks = torch.ones(1, 1, 4, 8, 8)
    points = places(8, 8).flatten(0, 1)
    votes = points @ true[..., :2].mT + true[..., None, :, 2]
    sure = torch.full((1, 1, 1, 4, 64), 20.0)
    none = torch.zeros(0)
    assert all(float(loss) < 1e-6 for loss in place_losses(Copies(none, none, true, votes, sure), true, masks,
                                                          torch.tensor([0.5])))  # fmt: skip
    moved = true.clone()
    moved[..., 2] += true[..., 0] * 2 / 64  # by one of 64 pixels to the left
    assert abs(place_error_px(Copies(none, none, moved, votes, sure), true, masks, 64) - 1) < 1e-4
    maps, right_votes, _ = place_losses(Copies(none, none, moved, votes, sure), true, masks, torch.tensor([0.5]))
    assert maps > 1e-3 > right_votes


def test_pictures_that_are_not_there_have_no_part_in_the_loss() -> None:
    true = torch.full((1, 1, 2, 4, 2, 3), torch.nan)
    true[:, :, 0] = 1.0
    told = torch.ones(1, 1, 2, 4, 2, 3)
    told[:, :, 1] = 99
    points = places(8, 8).flatten(0, 1)
    votes = points @ told[..., :2].mT + told[..., None, :, 2]
    none = torch.zeros(0)
    copies = Copies(none, none, told, votes, torch.zeros(1, 1, 2, 4, 64))
    maps, placed, mask = place_losses(copies, true, torch.ones(1, 1, 4, 8, 8), torch.tensor([0.5]))
    assert maps < 1e-6 and placed < 1e-6 and abs(float(mask) - 0.6931) < 1e-3
