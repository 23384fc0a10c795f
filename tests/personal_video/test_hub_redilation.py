"""Kernels spread wider, and the guidance that goes with them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import ParameterError
from core.personal_video.hub_redilation import Redilation, StageDilation, noise_damped
from core.personal_video.hub_second import second_network


class Network(nn.Module):
    """Stages as in a UNet: two that look around, one that halves the picture, one that looks at single pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mid = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))
        self.middle = nn.Conv2d(3, 4, 5, padding=2)
        self.halving = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.point = nn.Conv2d(3, 4, 1)


def inner(network: Network) -> nn.Conv2d:
    (kernel,) = network.mid
    assert isinstance(kernel, nn.Conv2d)
    return kernel


@pytest.fixture
def network() -> Network:
    return Network().eval().requires_grad_(False)


@pytest.fixture
def picture() -> Tensor:
    return torch.randn(1, 3, 12, 10, generator=torch.Generator().manual_seed(1))


def test_a_spread_kernel_is_the_kernel_with_zeros_between_its_taps(network: Network, picture: Tensor) -> None:
    kernel = network.middle
    wide = torch.zeros(4, 3, 13, 13)
    wide[:, :, ::3, ::3] = kernel.weight
    wanted = F.conv2d(picture, wide, kernel.bias, padding=6)
    with Redilation(network, [StageDilation("middle", 3)]) as kernels:
        kernels.at(1.0)
        torch.testing.assert_close(kernel(picture), wanted)


def test_at_twice_the_size_a_spread_kernel_sees_what_it_saw_before(network: Network, picture: Tensor) -> None:
    before = network.mid(picture)
    larger = picture.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    unchanged = network.mid(larger)[..., ::2, ::2]
    with Redilation(network, [StageDilation("mid", 2)]) as kernels:
        kernels.at(1.0)
        torch.testing.assert_close(network.mid(larger)[..., ::2, ::2], before)
    assert not torch.allclose(unchanged, before, atol=0.1)


def test_kernels_are_spread_from_pure_noise_down_to_their_share_of_it(network: Network) -> None:
    with Redilation(network, [StageDilation("mid", 2, 0.3), StageDilation("middle", 3, 0.8)]) as kernels:
        assert not kernels.active
        for noise, mid, middle in ((1.0, 2, 3), (0.8, 2, 3), (0.7, 2, 1), (0.3, 2, 1), (0.2, 1, 1)):
            kernels.at(noise)
            assert (inner(network).dilation[0], network.middle.dilation[0]) == (mid, middle)
            assert kernels.active == (max(mid, middle) > 1)


def test_afterwards_the_network_is_as_it_was_even_when_something_fails(network: Network, picture: Tensor) -> None:
    before = network.mid(picture)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"), Redilation(network, [StageDilation("", 2)]) as kernels:
        kernels.at(0.5)
        with kernels.as_trained():
            assert torch.equal(network.mid(picture), before)
        assert not torch.equal(network.mid(picture), before)
        raise RuntimeError("stop")
    assert torch.equal(network.mid(picture), before)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())


def test_pictures_keep_their_size_and_what_halves_them_or_sees_single_pixels_is_left_alone(
    network: Network, picture: Tensor
) -> None:
    halved, point = network.halving(picture), network.point(picture)
    with Redilation(network, [StageDilation("", 4)]) as kernels:
        kernels.at(1.0)
        assert network.mid(picture).shape == network.middle(picture).shape == (1, 4, 12, 10)
        assert torch.equal(network.halving(picture), halved) and torch.equal(network.point(picture), point)


def test_a_stage_is_a_whole_name_and_the_last_word_counts(network: Network) -> None:
    with Redilation(network, [StageDilation("", 4), StageDilation("mid", 2)]) as kernels:
        kernels.at(1.0)
        assert (inner(network).dilation, network.middle.dilation) == ((2, 2), (4, 4))


def test_an_unknown_stage_is_named(network: Network) -> None:
    with pytest.raises(ParameterError, match="'up'"):
        Redilation(network, [StageDilation("up", 2)])
    with pytest.raises(ParameterError, match="factor 0"):
        StageDilation("mid", 0)


def test_noise_damped_guidance_is_the_formula_of_its_paper() -> None:
    trained, spread, conditional = torch.tensor([1.0]), torch.tensor([5.0]), torch.tensor([7.0])
    assert noise_damped(trained, spread, conditional, 3.0) == torch.tensor([7.0])
    assert torch.equal(noise_damped(trained, spread, spread, 9.0), trained), "without a direction nothing is added"


class Unet(nn.Module):
    """Takes and gives what a diffusers UNet of videos does, and says the time step and the condition in the picture."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mid_block = nn.Conv2d(4, 4, 3, padding=1)
        self.calls: list[tuple[int, int]] = []

    def forward(self, sample: Tensor, step: Tensor, *, encoder_hidden_states: Tensor, added: dict[str, Any]) -> Any:
        self.calls.append((self.mid_block.dilation[0], len(sample)))
        frames = sample.shape[2]
        x = self.mid_block(sample.transpose(1, 2).flatten(0, 1))
        x = x + encoder_hidden_states.mean((1, 2))[:, None, None, None]
        x = x + added["image_embeds"][0].mean((1, 2)).repeat_interleave(frames)[:, None, None, None]
        return Output(x.unflatten(0, (len(sample), frames)).transpose(1, 2))


class Output:
    def __init__(self, sample: Tensor) -> None:
        self.sample = sample


@pytest.fixture
def inputs() -> dict[str, Any]:
    random = torch.Generator().manual_seed(2)
    latents = torch.randn(1, 4, 3, 8, 8, generator=random)
    return {
        "sample": torch.cat([latents, latents]),
        "text": torch.randn(6, 5, 7, generator=random),
        "pictures": [torch.randn(2, 2, 6, generator=random)],
    }


def called(unet: Unet, inputs: dict[str, Any], step: int) -> Tensor:
    added = {"image_embeds": inputs["pictures"]}
    out: Tensor = unet(inputs["sample"], torch.tensor(step), encoder_hidden_states=inputs["text"], added=added).sample
    return out


@torch.no_grad()
def test_the_second_network_gives_noise_damped_guidance_at_any_scale(inputs: dict[str, Any]) -> None:
    unet = Unet().eval()
    trained, _ = called(unet, inputs, 900).chunk(2)
    with Redilation(unet, [StageDilation("mid_block", 2)]) as kernels:
        kernels.at(1.0)
        spread, conditional = called(unet, inputs, 900).chunk(2)
    with second_network(unet, [StageDilation("mid_block", 2, 0.5)], 1000, guided=True):
        u, c = called(unet, inputs, 900).chunk(2)
    for scale in (1.5, 7.5):
        torch.testing.assert_close(u + scale * (c - u), noise_damped(trained, spread, conditional, scale))


@torch.no_grad()
def test_the_second_network_is_the_first_one_below_its_share_of_noise_and_afterwards(inputs: dict[str, Any]) -> None:
    unet = Unet().eval()
    first = called(unet, inputs, 900)
    unet.calls.clear()
    with second_network(unet, [StageDilation("mid_block", 2, 0.5)], 1000, guided=True):
        assert not torch.equal(called(unet, inputs, 500), first)
        assert torch.equal(called(unet, inputs, 499), first)
    assert torch.equal(called(unet, inputs, 900), first)
    assert unet.calls == [(2, 2), (1, 1), (1, 2), (1, 2)], (
        "damping costs half a call, and only where kernels are spread"
    )


@torch.no_grad()
def test_without_guidance_there_is_nothing_to_damp(inputs: dict[str, Any]) -> None:
    unet = Unet().eval()
    with second_network(unet, [StageDilation("mid_block", 2)], 1000, guided=False):
        called(unet, inputs, 900)
    assert unet.calls == [(2, 2)]
