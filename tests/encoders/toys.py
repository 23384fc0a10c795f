"""Tiny networks of the real transformers classes, with random weights, laid out as the hub profile's weights are.

They let the code that loads and runs the large networks be tested offline: same classes, same files, same path.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from core.weights import Manifest, WeightFile
from core.weights.catalogue import write_manifest

EMBEDDED_TOKENIZER = Path(__file__).resolve().parents[2] / "weights" / "whisper_base" / "tokenizer.json"


def lay_hub_weights(folder: Path) -> None:
    """Write ``folder/<name>/`` with network, settings and pinned manifest for every name of the hub profile."""
    for name, make in MAKERS.items():
        torch.manual_seed(0)
        make(folder / name)
        paths = sorted(path for path in (folder / name).iterdir() if path.is_file())
        files = tuple(WeightFile(p.name, hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_size) for p in paths)
        manifest = Manifest(name, "hub", "CC0-1.0", "random numbers", "0" * 40, files, repository=f"nobody/{name}")
        write_manifest(manifest, folder / name / "manifest.toml")


def siglip(folder: Path) -> None:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SiglipConfig(
        vision_config={**size, "image_size": 32, "patch_size": 8}, text_config={**size, "vocab_size": 50}
    )
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def dinov2(folder: Path) -> None:
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    crop = {"height": 28, "width": 28}
    BitImageProcessorPil(size={"shortest_edge": 32}, crop_size=crop, do_center_crop=True).save_pretrained(folder)


def clap(folder: Path) -> None:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    audio = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 4,
        "patch_size": 2,
        "patch_stride": 2,
        "hidden_size": 32,
        "patch_embeds_hidden_size": 16,
        "depths": [2, 2],
        "num_attention_heads": [2, 2],
    }
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ClapConfig(audio_config=audio, text_config={**text, "vocab_size": 50}, projection_dim=24)
    ClapModel(config).save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=8000,
        hop_length=160,
        max_length_s=1,
        fft_window_size=512,
        frequency_max=4000,
        truncation="rand_trunc",
    ).save_pretrained(folder)


def multilingual_e5(folder: Path) -> None:
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = ["▁query", "▁passage", ":", "▁", "▁cat", "▁house", *"abcdefghijklmnopqrstuvwxyz", "<mask>"]
    vocabulary = [(piece, -float(rank)) for rank, piece in enumerate(marks + pieces)]
    XLMRobertaTokenizer(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    config = XLMRobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=80,
    )
    XLMRobertaModel(config).save_pretrained(folder)


def whisper_large(folder: Path) -> None:
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    tokenizer = WhisperTokenizer(tokenizer_file=str(EMBEDDED_TOKENIZER))
    marks = [token for token in tokenizer.get_added_vocab() if not token[2].isdigit()]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    number: Callable[[str], Any] = tokenizer.convert_tokens_to_ids
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
    )
    network = WhisperForConditionalGeneration(config)
    network.generation_config = GenerationConfig(
        alignment_heads=[[0, 0], [1, 1]],
        decoder_start_token_id=number("<|startoftranscript|>"),
        eos_token_id=number("<|endoftext|>"),
        is_multilingual=True,
        lang_to_id={token: number(token) for token in ("<|en|>", "<|zh|>")},
        max_initial_timestamp_index=50,
        max_length=24,
        no_timestamps_token_id=number("<|notimestamps|>"),
        pad_token_id=number("<|endoftext|>"),
        task_to_id={task: number(f"<|{task}|>") for task in ("transcribe", "translate")},
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)


MAKERS: dict[str, Callable[[Path], None]] = {
    "siglip": siglip,
    "dinov2": dinov2,
    "clap": clap,
    "multilingual_e5": multilingual_e5,
    "whisper_large": whisper_large,
}
