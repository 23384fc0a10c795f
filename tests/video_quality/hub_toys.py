"""Tiny networks of the real transformers classes for the library of the hub profile, served by the double of the Hub.

They have one layer each, random weights, and vectors of the real length.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from core.video_quality.hub_library import QUESTION
from core.video_quality.levels import LEVELS
from core.weights import Manifest, WeightFile
from core.weights.catalogue import write_manifest
from tests.weights.hub_double import HubDouble, sha256

ONE_LAYER: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2}
TINY: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, **ONE_LAYER}


def serve(hub: HubDouble, weights: Path) -> None:
    """Put every network on the double, and its pinned manifest, but none of its files, into a weights folder."""
    for name, make in MAKERS.items():
        torch.manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
        repository = f"nobody/{name}"
        make(hub.root / repository)
        paths = sorted(path for path in (hub.root / repository).iterdir() if path.suffix in {".json", ".safetensors"})
        files = tuple(WeightFile(path.name, sha256(path), path.stat().st_size) for path in paths)
        revision = hub.commit(repository)
        (weights / name).mkdir(parents=True)
        manifest = Manifest(name, "hub", "CC0-1.0", "random numbers", revision, files, repository=repository)
        write_manifest(manifest, weights / name / "manifest.toml")


def clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    vision = {"hidden_size": 1024, "intermediate_size": 32, "patch_size": 28, "image_size": 224, **ONE_LAYER}
    CLIPModel(CLIPConfig(vision_config=vision, text_config={**TINY, "vocab_size": 50})).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)


def convnext(folder: Path) -> None:
    from transformers import ConvNextConfig, ConvNextImageProcessorPil, ConvNextModel

    config = ConvNextConfig(hidden_sizes=[8, 8, 8, 768], depths=[1, 1, 1, 1])
    ConvNextModel(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 224}).save_pretrained(folder)


def dinov2(folder: Path) -> None:
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    config = Dinov2Config(hidden_size=768, mlp_ratio=1, image_size=224, patch_size=28, **ONE_LAYER)
    Dinov2Model(config).save_pretrained(folder)
    crop = {"height": 224, "width": 224}
    BitImageProcessorPil(size={"shortest_edge": 256}, crop_size=crop, do_center_crop=True).save_pretrained(folder)


def videomae(folder: Path) -> None:
    from transformers import VideoMAEConfig, VideoMAEImageProcessorPil, VideoMAEModel

    config = VideoMAEConfig(hidden_size=768, intermediate_size=32, patch_size=28, use_mean_pooling=False, **ONE_LAYER)
    VideoMAEModel(config).save_pretrained(folder)
    VideoMAEImageProcessorPil().save_pretrained(folder)


def smolvlm(folder: Path) -> None:
    """One tile of 64 × 64 pixels in patches of 16, of which four each become one token: four for a picture."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil

    tokenizer = _tokenizer()
    Idefics3ImageProcessorPil(size={"longest_edge": 128}, max_image_size={"longest_edge": 64}).save_pretrained(folder)
    (folder / "processor_config.json").write_text('{"image_seq_len": 4, "processor_class": "Idefics3Processor"}\n')
    tokenizer.save_pretrained(folder)
    text: dict[str, Any] = {"model_type": "llama", "vocab_size": len(tokenizer), "num_key_value_heads": 2, **TINY}
    config = Idefics3Config(
        vision_config={"image_size": 64, "patch_size": 16, **TINY},
        text_config={**text, "pad_token_id": 0, "initializer_range": 0.5},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)


def _tokenizer() -> Any:
    """Pairs of bytes as in the real one, learnt from the question and the five words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Tokenizer

    marks = ["<pad>", "<|im_start|>", "<end_of_utterance>", "<image>", "<fake_token_around_image>", "<global-img>"]
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    learnt = trainers.BpeTrainer(
        vocab_size=600, special_tokens=marks, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    pairs.train_from_iterator([QUESTION, *(f" {word} {word}" for word in LEVELS)] * 2, learnt)
    learnt_pairs = json.loads(pairs.to_str())["model"]
    merges: Any = [tuple(pair) for pair in learnt_pairs["merges"]]
    given: Any = GPT2Tokenizer(vocab=learnt_pairs["vocab"], merges=merges, pad_token="<pad>", unk_token="<pad>")
    given.add_special_tokens({"additional_special_tokens": marks})
    return given


MAKERS: dict[str, Callable[[Path], None]] = {
    "clip": clip,
    "convnext": convnext,
    "dinov2": dinov2,
    "videomae": videomae,
    "smolvlm": smolvlm,
}
