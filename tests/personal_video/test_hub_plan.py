"""The paper plan of memory on the hub profile, against the networks at full size, run without data."""

from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.errors import ParameterError
from core.personal_video.hub_plan import (
    BYTES,
    COUNTS,
    DECODED_AT_ONCE,
    GB,
    Counts,
    Shape,
    Way,
    choose_way,
    decoding_bytes,
    fits,
    memory_needed,
    plan_table,
    sampling_bytes,
)
from core.weights import weights_folder

ROUND = Counts(
    generation=GB, decoder=GB // 10, text=GB // 10, details=GB // 2, reference=GB // 4, largest_layer=GB // 50,
    values_per_latent=10_000, values_per_pixel=500,
)  # fmt: skip
SMALL = Shape(1024, 1024, 16)


class Alive(TorchDispatchMode):
    """Sums what exists at one moment, but for the weights of a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._weights = {p.untyped_storage()._cdata for p in network.parameters()}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = call(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in self._weights:
                    self._alive.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))
        self._alive = {key: pair for key, pair in self._alive.items() if not pair[0].expired()}
        self.most = max(self.most, sum(size for _, size in self._alive.values()))
        return out


def fused(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    """Attention as fused kernels compute it: the matrix of all pairs never exists."""
    return query.new_empty(*query.shape[:-1], value.shape[-1])


@torch.no_grad()
def alive_bytes(network: nn.Module, call: Any, *arguments: Any, **named: Any) -> int:
    with mock.patch.object(F, "scaled_dot_product_attention", fused), Alive(network) as alive:
        call(*arguments, **named)
    return alive.most


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _tower(width: int, layers: int) -> dict[str, Any]:
    """The shape of a vision transformer of CLIP."""
    named = {"hidden_size": width, "intermediate_size": 4 * width}
    return {**named, "num_hidden_layers": layers, "num_attention_heads": 16}


@pytest.fixture(scope="module")
def generation() -> Any:
    """AnimateDiff v3 on Stable Diffusion 1.5, of its real size, without data."""
    from diffusers import UNetMotionModel

    with torch.device("meta"):
        network: Any = UNetMotionModel(
            block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, num_attention_heads=8,
            use_motion_mid_block=False, motion_max_seq_length=32,
        )  # fmt: skip
    return network.to(torch.bfloat16).eval()


@pytest.fixture(scope="module")
def decoder() -> Any:
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        network: Any = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
    return network.to(torch.bfloat16).eval()


def test_the_parameters_are_those_of_the_networks_at_full_size(generation: Any, decoder: Any) -> None:
    from diffusers.models.embeddings import IPAdapterPlusImageProjection
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel
    from transformers import CLIPVisionModelWithProjection as Projected

    with torch.device("meta"):
        text = CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        )
        huge: dict[str, Any] = {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
        }
        encoder = Projected(CLIPVisionConfig(patch_size=14, projection_dim=1024, **huge))
        large: dict[str, Any] = {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
        }
        reference = CLIPVisionModel(CLIPVisionConfig(patch_size=14, **large))
        resampler = IPAdapterPlusImageProjection(1280, 768, 768, heads=12, num_queries=16)
    crossings = [m for name, m in generation.named_modules() if name.endswith("attn2") and "motion" not in name]
    adapter = sum(2 * 768 * crossing.to_q.out_features for crossing in crossings)
    assert len(crossings) == 16 and size(generation) + adapter == COUNTS.generation
    assert (size(decoder), size(text)) == (COUNTS.decoder, COUNTS.text)
    assert size(encoder) + size(resampler) == COUNTS.details and size(reference) == COUNTS.reference
    layers = [module for module in generation.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert max(map(size, layers)) == COUNTS.largest_layer


@pytest.mark.parametrize("shape", [Shape(512, 512, 16), Shape(1024, 1024, 16), Shape(512, 768, 8, guided=False)])
def test_what_is_alive_while_sampling_is_what_the_formula_says(generation: Any, shape: Shape) -> None:
    branches = 2 if shape.guided else 1
    with torch.device("meta"):
        x = torch.empty(branches, 4, shape.frames, shape.height // 8, shape.width // 8, dtype=torch.bfloat16)
        said = torch.empty(branches * shape.frames, 77, 768, dtype=torch.bfloat16)
        step = torch.tensor(5)
    counted = alive_bytes(generation, generation, x, step, encoder_hidden_states=said)
    assert counted == pytest.approx(sampling_bytes(COUNTS, shape), rel=0.02)


def test_what_is_alive_while_decoding_is_what_the_formula_says(decoder: Any) -> None:
    x = torch.empty(DECODED_AT_ONCE, 4, 128, 96, dtype=torch.bfloat16, device="meta")
    counted = alive_bytes(decoder, decoder.decode, x)
    assert counted == pytest.approx(decoding_bytes(COUNTS, Shape(768, 1024, 16)), rel=0.02)


def test_each_way_s_need_by_hand() -> None:
    """Sampling: 2 · 16 · 128 · 128 latent pixels of 10,000 values; decoding: 2 · 1024² pixels of 500; 2 bytes each."""
    sampling, decoding = 2 * 16 * 128 * 128 * 10_000 * BYTES, 2 * 1024 * 1024 * 500 * BYTES
    assert sampling > decoding
    assert memory_needed("whole", ROUND, SMALL) == GB + 2 * GB + (GB // 10 + GB // 10 + GB // 2) * 2 + sampling
    assert memory_needed("spread", ROUND, SMALL) == GB + 2 * GB + sampling
    assert memory_needed("model", ROUND, SMALL) == GB + 2 * GB + sampling
    assert memory_needed("sequential", ROUND, SMALL) == GB + GB // 50 * 2 + sampling


def test_a_way_is_the_quickest_that_fits() -> None:
    ways: tuple[Way, ...] = ("whole", "model", "sequential")
    needs = {way: memory_needed(way, COUNTS, SMALL) for way in ways}
    room = {way: int(need * 1.1) + GB + 1 for way, need in needs.items()}
    assert choose_way(COUNTS, SMALL, []) == "whole", "a CPU"
    for way, size_bytes in room.items():
        assert choose_way(COUNTS, SMALL, [size_bytes]) == way
    assert choose_way(COUNTS, SMALL, [room["model"]] * 2) == "spread"
    assert choose_way(COUNTS, SMALL, [room["model"], GB]) == "model", "the other GPU is too small"
    with pytest.raises(ParameterError, match=r"1024 × 1024 × 16 needs 10\.0 GB"):
        choose_way(COUNTS, SMALL, [room["sequential"] - GB])


def test_a_tenth_and_a_gigabyte_are_kept_to_spare() -> None:
    assert fits(10 * GB, 12 * GB) and not fits(10 * GB, 12 * GB - 1)


def test_the_card_shows_the_table_that_the_formula_gives() -> None:
    card = (weights_folder() / "animatediff" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert plan_table() in card
