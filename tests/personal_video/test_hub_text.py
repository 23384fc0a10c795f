"""The text encoder of the hub profile, and the way from a picture's vector into its space."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import ParameterError
from core.personal_video.hub_text import PromptEncoder, ReferenceMapper
from core.personal_video.prompt import parse_prompt
from tests.personal_video import hub_toys
from tests.personal_video.hub_toys import ROOM, WIDTH


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    from transformers import CLIPTextModel, CLIPTokenizer

    folder: Path = tmp_path_factory.mktemp("text")
    torch.manual_seed(0)
    hub_toys.stable_diffusion(folder)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    network = CLIPTextModel.from_pretrained(folder / "text_encoder", variant="fp16", local_files_only=True)
    return tokenizer, network.eval()


@pytest.fixture(scope="module")
def encoder(networks: tuple[Any, Any]) -> PromptEncoder:
    return PromptEncoder(*networks)


def test_without_references_the_tokens_are_those_that_diffusers_takes(
    encoder: PromptEncoder, networks: tuple[Any, Any]
) -> None:
    tokenizer, network = networks
    text = "The blue dog runs along a beach"
    ids = tokenizer(text, padding="max_length", max_length=ROOM, truncation=True, return_tensors="pt").input_ids
    with torch.inference_mode():
        wanted = network(ids)[0]
    told = encoder.encode(parse_prompt(text, ["dog"]))
    torch.testing.assert_close(told.tokens, wanted)
    assert told.unread == ""


@pytest.mark.parametrize(
    ("prompt", "word", "places"),
    [
        ("biscuit runs", "biscuit", (1,)),
        ("a red <Biscuit> runs", "biscuit", (3,)),
        ("biscuit runs and biscuit hops", "biscuit", (1, 4)),
        ("the old dog hops", "old dog", (2, 3, 4, 5)),
        ("a 饼干 runs", "饼干", (2, 3, 4, 5, 6, 7)),
        ("🐶🐶 biscuit", "biscuit", (9,)),
    ],
)
def test_the_places_of_a_word_are_the_tokens_it_is_made_of(
    encoder: PromptEncoder, prompt: str, word: str, places: tuple[int, ...]
) -> None:
    """Words out of the vocabulary are one token, others one for each byte."""
    assert encoder.encode(parse_prompt(prompt, [word])).places == {word: places}


def test_only_the_word_s_tokens_become_the_reference_as_long_as_the_others(encoder: PromptEncoder) -> None:
    reference = torch.nn.functional.normalize(torch.randn(WIDTH, generator=torch.Generator().manual_seed(3)), dim=0)
    features = encoder.encode(parse_prompt("the old dog hops", ["old dog"]))
    replaced = features.with_references({"old dog": reference})
    changed = (replaced != features.tokens).any(dim=2)[0].nonzero().flatten().tolist()
    assert changed == [2, 3, 4, 5]
    length = torch.cat([features.tokens[0, 1:2], features.tokens[0, 6:]]).norm(dim=1).mean()
    torch.testing.assert_close(replaced[0, 2:6], (length * reference).expand(4, WIDTH))


def test_a_word_that_is_replaced_leaves_no_trace_in_the_other_tokens(encoder: PromptEncoder) -> None:
    reference = torch.ones(WIDTH) / WIDTH**0.5

    def others(word: str, replaced: bool) -> torch.Tensor:
        features = encoder.encode(parse_prompt(f"{word} runs on snow", [word]), [word] if replaced else [])
        return features.with_references({word: reference})

    torch.testing.assert_close(others("biscuit", True), others("pudding", True))
    assert not torch.allclose(others("biscuit", False), others("pudding", False), atol=1e-3)


def test_what_is_beyond_the_text_encoder_s_room_is_told(encoder: PromptEncoder) -> None:
    prompt = "the " * (ROOM - 2) + "dog runs"
    assert encoder.encode(parse_prompt(prompt, [])).unread == "dog runs"
    assert encoder.encode(parse_prompt(" ".join(["snow"] * 2000), [])).unread.split() == ["snow"] * (2000 - ROOM + 2)


def test_a_concept_beyond_the_text_encoder_s_room_is_an_error(encoder: PromptEncoder) -> None:
    with pytest.raises(ParameterError, match="<biscuit> stands too far back: the text encoder reads 22 tokens"):
        encoder.encode(parse_prompt("the " * (ROOM - 2) + "biscuit", ["biscuit"]))
    early = encoder.encode(parse_prompt("biscuit " + "the " * ROOM + "biscuit", ["biscuit"]))
    assert early.places == {"biscuit": (1,)}


def test_a_mapped_picture_is_the_text_output_that_clip_finds_most_like_it() -> None:
    random = torch.Generator().manual_seed(4)
    image_map, text_map = torch.randn(8, 12, generator=random), torch.randn(8, 8, generator=random)
    picture = np.random.default_rng(5).normal(size=12).astype(np.float32)
    mapped = ReferenceMapper(image_map, text_map).map(picture)
    compared = torch.cosine_similarity(text_map @ mapped, image_map @ torch.from_numpy(picture), dim=0)
    assert float(compared) == pytest.approx(1, abs=1e-5) and float(mapped.norm()) == pytest.approx(1)


def test_another_encoder_s_vector_is_refused() -> None:
    mapper = ReferenceMapper(torch.eye(8, 12), torch.eye(8))
    with pytest.raises(ParameterError, match="not 12; it is another encoder's"):
        mapper.map(np.ones(9, np.float32))
