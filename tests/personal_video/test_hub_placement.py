"""The ways in which the networks of the hub profile may lie: each computes the same."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.personal_video.hub_networks import network_dtype
from core.personal_video.hub_placement import Arrangement, arrange, choose_arrangement, free_bytes
from core.personal_video.hub_plan import COUNTS, GB, Shape
from core.runtime import Placement

CPU = torch.device("cpu")
ON_CPU = Placement(CPU, torch.float32)


class Part(nn.Module):
    """A network with a parameter of its own beside its layers, as a resampler has."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.questions = nn.Parameter(torch.randn(4))
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))

    @property
    def device(self) -> torch.device:
        return self.questions.device

    @property
    def dtype(self) -> torch.dtype:
        return self.questions.dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x + self.questions)


def pipeline() -> Any:
    from diffusers import DiffusionPipeline

    class Pipeline(DiffusionPipeline):
        model_cpu_offload_seq = "text_encoder->unet->vae"

        def __init__(self, text_encoder: nn.Module, unet: nn.Module, vae: nn.Module) -> None:
            super().__init__()
            register: Any = self
            register.register_modules(text_encoder=text_encoder, unet=unet, vae=vae)

    return Pipeline(Part(0).eval(), Part(1).eval(), Part(2).eval())


@torch.no_grad()
@pytest.mark.parametrize(
    "chosen", [Arrangement("whole"), Arrangement("spread", (CPU, CPU)), Arrangement("model"), Arrangement("sequential")]
)
def test_however_the_networks_lie_they_compute_the_same(chosen: Arrangement) -> None:
    x = torch.randn(3, 4)

    def run(pipe: Any, details: nn.Module) -> Tensor:
        out: Tensor = pipe.vae(pipe.unet(pipe.text_encoder(details(x))))
        return out

    wanted = run(pipeline(), Part(3).eval())
    pipe, details = pipeline(), Part(3).eval()
    arrange(pipe, [details], chosen, ON_CPU)
    torch.testing.assert_close(run(pipe, details), wanted, rtol=0, atol=0)
    pipe.maybe_free_model_hooks()
    torch.testing.assert_close(run(pipe, details), wanted, rtol=0, atol=0)
    carried = [hasattr(network, "_hf_hook") for network in (pipe.unet, pipe.vae, details)]
    assert carried == [chosen.way != "whole"] * 3


def test_layer_by_layer_the_weights_do_not_lie_where_they_are_used() -> None:
    pipe, details = pipeline(), Part(3).eval()
    arrange(pipe, [details], Arrangement("sequential"), ON_CPU)
    assert all(p.is_meta for network in (pipe.unet, pipe.vae, details) for p in network.parameters())


def test_several_gpus_are_used_only_when_one_is_too_small_and_the_roomiest_has_the_largest_network() -> None:
    one, two, three = (torch.device("cuda", n) for n in range(3))
    large = Shape(1024, 1024, 16)
    assert choose_arrangement(COUNTS, large, {one: 80 * GB, two: 80 * GB}) == Arrangement("whole")
    crowded = {one: 15 * GB, two: 16 * GB, three: 14 * GB}
    assert choose_arrangement(COUNTS, large, crowded) == Arrangement("spread", (two, one))
    assert choose_arrangement(COUNTS, large, {}) == Arrangement("whole")


def test_a_cpu_has_no_gpu_memory() -> None:
    assert free_bytes(CPU) == {}


@pytest.mark.parametrize(
    ("device", "fast", "wanted"),
    [
        ("cuda", torch.bfloat16, torch.bfloat16),
        ("cuda", torch.float32, torch.float16),
        ("cpu", torch.bfloat16, torch.float32),
    ],
)
def test_numbers_are_half_as_long_on_gpus_alone(device: str, fast: torch.dtype, wanted: torch.dtype) -> None:
    assert network_dtype(Placement(torch.device(device), fast)) is wanted
