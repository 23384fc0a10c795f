"""Tiny networks of the real classes for the hub profile of personal video, served by the double of the Hub.

They have random weights, and files of the names and formats of the real repositories.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from core.weights import Manifest, WeightFile
from core.weights.catalogue import write_manifest
from tests.weights.hub_double import HubDouble, sha256

WIDTH = 64
"""Of text tokens, of detail tokens, and of the space in which CLIP compares; one head of the resampler."""
SIDE = 32
CHANNELS = (32, 64)
ROOM = 24
WORDS = [
    *("a", "the", "biscuit", "pudding", "waffle", "dog", "runs", "hops", "on", "along", "beach", "red", "blue", "and"),
    *("in", "snow", "with"),
]
CROSSINGS = (CHANNELS[0], CHANNELS[0], CHANNELS[0], CHANNELS[1])
"""Channels of every cross-attention, in the order of the adapter's file: down, up, middle."""
LAYER: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def serve(hub: HubDouble, weights: Path) -> None:
    """Put every network on the double, and its pinned manifest, but none of its files, into a weights folder."""
    for name, make in MAKERS.items():
        torch.manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
        folder = hub.root / "nobody" / name
        folder.mkdir(parents=True)
        make(folder)
        paths = sorted(path for path in folder.rglob("*") if path.suffix in {".json", ".safetensors", ".txt"})
        files = tuple(WeightFile(p.relative_to(folder).as_posix(), sha256(p), p.stat().st_size) for p in paths)
        revision = hub.commit(f"nobody/{name}")
        (weights / name).mkdir(parents=True)
        manifest = Manifest(name, "hub", "CC0-1.0", "random numbers", revision, files, repository=f"nobody/{name}")
        write_manifest(manifest, weights / name / "manifest.toml")


def stable_diffusion(folder: Path) -> None:
    from diffusers import AutoencoderKL, DDIMScheduler

    unet().save_pretrained(folder / "unet", variant="fp16")
    vae: Any = AutoencoderKL(
        block_out_channels=(8, 8, 16), latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip
    vae.save_pretrained(folder / "vae", variant="fp16")
    scheduler: Any = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    scheduler.save_pretrained(folder / "scheduler")
    _text_encoder(folder / "text_encoder")
    _tokenizer(folder / "tokenizer")


def unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=32, block_out_channels=CHANNELS, layers_per_block=1, cross_attention_dim=WIDTH,
        attention_head_dim=4, norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


def animatediff(folder: Path) -> None:
    from diffusers import MotionAdapter

    adapter: Any = MotionAdapter(
        block_out_channels=CHANNELS, motion_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=8,
        motion_max_seq_length=32, use_motion_mid_block=False,
    )  # fmt: skip
    for name, parameter in adapter.named_parameters():
        if "proj_out" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    adapter.save_pretrained(folder)


def ip_adapter(folder: Path) -> None:
    """The adapter's file as its authors write it; here the names of diffusers are turned back into theirs."""
    from diffusers.models.embeddings import IPAdapterPlusImageProjection
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    vision = CLIPVisionConfig(hidden_size=48, image_size=SIDE, patch_size=8, projection_dim=WIDTH, **LAYER)
    CLIPVisionModelWithProjection(vision).save_pretrained(folder / "models" / "image_encoder")
    resampler = IPAdapterPlusImageProjection(48, WIDTH, WIDTH, dim_head=64, heads=1, num_queries=4)
    given = _their_names(resampler.state_dict())
    tensors = {f"image_proj.{name}": tensor.contiguous() for name, tensor in given.items()}
    for number, channels in enumerate(CROSSINGS):
        for kind in ("k", "v"):
            tensors[f"ip_adapter.{2 * number + 1}.to_{kind}_ip.weight"] = torch.randn(channels, WIDTH) / 4
    save_file(tensors, folder / "models" / "ip-adapter-plus_sd15.safetensors")


def _their_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A resampler's tensors under the names of the adapter's authors."""
    theirs = {
        "ln0": "0.norm1", "ln1": "0.norm2", "attn.to_q": "0.to_q", "attn.to_k": "0.to_kv", "attn.to_out.0": "0.to_out",
        "ff.0": "1.0", "ff.1.net.0.proj": "1.1", "ff.1.net.2": "1.3",
    }  # fmt: skip
    given = {}
    for name, tensor in state.items():
        if not name.startswith("layers."):
            given[name] = tensor
        elif not name.endswith("attn.to_v.weight"):
            _, number, rest = name.split(".", 2)
            module, _, kind = rest.rpartition(".")
            values = state.get(name.replace("to_k", "to_v")) if module == "attn.to_k" else None
            given[f"layers.{number}.{theirs[module]}.{kind}"] = (
                tensor if values is None else torch.cat([tensor, values])
            )
    return given


def clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    vision = {"hidden_size": 40, "image_size": SIDE, "patch_size": 8, **LAYER}
    text = {"hidden_size": WIDTH, "vocab_size": 600, "max_position_embeddings": ROOM, **LAYER}
    CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=WIDTH)).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SIDE).save_pretrained(folder)


def lcm_lora(folder: Path) -> None:
    """Two low-rank differences under the names of the trainer that made the real file."""
    tensors: dict[str, torch.Tensor] = {}
    for module, shape in {
        "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q": (CHANNELS[0], CHANNELS[0]),
        "mid_block_resnets_0_conv1": (CHANNELS[1], CHANNELS[1], 3, 3),
    }.items():
        rank = 2
        down = torch.randn(rank, *shape[1:])
        up = torch.randn(shape[0], rank, *([1, 1] if len(shape) == 4 else []))
        tensors |= {f"lora_unet_{module}.lora_down.weight": down, f"lora_unet_{module}.lora_up.weight": up}
        tensors[f"lora_unet_{module}.alpha"] = torch.tensor(float(rank))
    save_file(tensors, folder / "pytorch_lora_weights.safetensors")


def _text_encoder(folder: Path) -> None:
    """Saved with the names of tensors that the real file has."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        hidden_size=WIDTH, vocab_size=600, max_position_embeddings=ROOM, bos_token_id=0, eos_token_id=1, **LAYER
    )
    CLIPTextModel(config).save_pretrained(folder)
    plain = folder / "model.safetensors"
    tensors = {
        name if name.startswith("text_model.") else f"text_model.{name}": t for name, t in load_file(plain).items()
    }
    save_file(tensors, folder / "model.fp16.safetensors", {"format": "pt"})
    plain.unlink()


def _tokenizer(folder: Path) -> None:
    """A vocabulary in which each of `WORDS` is one token, and any other text many."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *alphabet, *(f"{letter}</w>" for letter in alphabet)]
    merges = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
            vocabulary.append(parts[0])
    folder.mkdir(parents=True)
    ids = {token: number for number, token in enumerate(dict.fromkeys(vocabulary))}
    assert len(ids) <= 600
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    pairs = dict.fromkeys(merges)
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *(" ".join(pair) for pair in pairs)]) + "\n", encoding="utf-8"
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": CLIPTokenizer.__name__, "model_max_length": ROOM}), encoding="utf-8"
    )


MAKERS: dict[str, Callable[[Path], None]] = {
    "stable_diffusion": stable_diffusion,
    "animatediff": animatediff,
    "ip_adapter": ip_adapter,
    "clip": clip,
    "lcm_lora": lcm_lora,
}
