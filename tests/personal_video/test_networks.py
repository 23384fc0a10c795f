"""The blocks and networks: kernels pulled apart, attention, copies."""

import pytest
import torch
import torch.nn.functional as F

from core.personal_video.blocks import Attention, SpatialBlock, attended
from core.personal_video.copying import Copies, drawn_through, interleaved, woven
from core.personal_video.losses import flow_loss
from core.personal_video.network import Dilation
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


def test_a_network_pulled_apart_sees_each_of_the_interleaved_clips_as_it_saw_its_own() -> None:
    """Oracle of the second network, without copies: those are drawn at the larger size."""
    network, large = small_network().eval(), torch.randn(2, 4, 3, 64, 64)
    condition = network.conditioner("a", given())
    level = torch.tensor([0.3, 0.6])
    with torch.no_grad():
        apart = network.generation(large, level, condition, Dilation(patches=2))
        for row in (0, 1):
            for column in (0, 1):
                alone = network.generation(large[..., row::2, column::2].contiguous(), level, condition)
                torch.testing.assert_close(apart[..., row::2, column::2], alone, atol=1e-4, rtol=1e-3)
        assert not torch.allclose(apart, network.generation(large, level, condition), atol=1e-2)


def test_a_network_pulled_apart_lays_copies_as_fine_as_its_frames() -> None:
    x = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    assert torch.equal(interleaved(x, 2)[1], x[0, :, ::2, 1::2]) and torch.equal(woven(interleaved(x, 2), 2), x)


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


@pytest.mark.parametrize("side", [32, 64])
def test_a_square_drawn_through_a_map_is_the_same_picture_at_any_size(side: int) -> None:
    """Frames of twice the size from squares of twice the size, made smaller again, are the frames."""
    smooth = F.interpolate(torch.rand(1, 4, 5, 5), size=(side, side), mode="bicubic").clamp(0, 1)
    maps = torch.tensor([[[1.4, 0.3, 0.1], [-0.3, 1.4, 0.0]]])[None, None]
    small = drawn_through(smooth[None], maps, (side, side))
    twice = F.interpolate(smooth, scale_factor=2.0, mode="bilinear")
    large = drawn_through(twice[None], maps, (2 * side, 2 * side))
    assert (F.avg_pool2d(large.flatten(0, 2), 2) - small.flatten(0, 2)).abs().mean() < 0.02


def test_copies_lie_over_pixels_and_later_ones_in_front() -> None:
    ones = torch.ones(1, 1, 1, 1, 2, 2)
    colours = torch.cat([0.2 * ones, 0.6 * ones], 1).expand(-1, -1, -1, 3, -1, -1)
    opacities = torch.cat([ones, 0.75 * ones], 1)
    copies = Copies(colours, opacities, ones[:, 0])
    pixels = torch.full((1, 1, 3, 2, 2), -1.0)
    torch.testing.assert_close(copies.over(pixels, ones[:, 0])[0, 0, 0, 0, 0], torch.tensor(0.2 * 0.25 + 0.6))
    torch.testing.assert_close(copies.over(pixels, 0 * ones[:, 0]), pixels)


def test_the_network_does_not_look_from_one_clip_of_a_batch_to_another() -> None:
    network, what = small_network(), given()
    noise, level = torch.randn(2, 4, 3, 32, 32), torch.tensor([0.3, 0.3])
    with torch.no_grad():
        condition = network.conditioner("a", what)
        one = network.generation(noise, level, condition)
        noise[1] = 0
        other = network.generation(noise, level, condition)
    torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(one[1], other[1])


def test_frames_see_each_other() -> None:
    network, noise, level = small_network(), torch.randn(2, 4, 3, 32, 32), torch.tensor([0.3, 0.3])
    with torch.no_grad():
        condition = network.conditioner("d", given())
        one = network.generation(noise, level, condition)
        noise[:, 3] = 0
        other = network.generation(noise, level, condition)
    assert not torch.allclose(one[:, 0], other[:, 0], atol=1e-4)


def test_the_flow_loss_is_the_squared_error_of_the_flow() -> None:
    clip, noise, made = (torch.randn(2, 4, 3, 8, 8) for _ in range(3))
    level = torch.tensor([0.2, 0.7])
    spread = level[:, None, None, None, None]
    noisy = (1 - spread) * noise + spread * clip
    flow, told = clip - noise, (made - noisy) / (1 - spread)
    torch.testing.assert_close(flow_loss(made, clip, level), (flow - told).square().mean((1, 2, 3, 4)))
