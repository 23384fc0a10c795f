"""Sentences to vectors: MiniLM against its float32 source, the prefixes of e5, one contract for both."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core.encoders.text import BATCH, TextEncoder, mean_pooled, text_encoder

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "encoders" / "text.json").read_text())


class TestEveryTextEncoder:
    @pytest.fixture(scope="class", params=["minilm", "multilingual_e5"])
    def encoder(self, request: pytest.FixtureRequest, toy_hub: Path) -> Iterator[TextEncoder]:
        with pytest.MonkeyPatch.context() as patch:
            if request.param == "multilingual_e5":
                patch.setenv("SHOWREEL_WEIGHTS", str(toy_hub))
            yield text_encoder(request.param)

    def test_vectors_have_unit_length_and_do_not_depend_on_their_companions(self, encoder: TextEncoder) -> None:
        sentences = [f"a cat in {'house ' * (n % 7)}number {n}" for n in range(BATCH + 2)]
        together = encoder.encode(sentences)
        assert together.shape == (BATCH + 2, encoder.dimensions)
        assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
        for n in (0, 6, BATCH + 1):
            assert np.allclose(encoder.encode([sentences[n]])[0], together[n], atol=2e-6)

    def test_an_empty_sentence_has_a_vector_and_an_empty_list_has_none(self, encoder: TextEncoder) -> None:
        assert np.isfinite(encoder.encode([""])).all()
        assert encoder.encode([]).shape == (0, encoder.dimensions)

    def test_a_sentence_of_any_length_is_cut_to_what_the_network_takes(self, encoder: TextEncoder) -> None:
        endless = "cat house " * 400
        assert np.allclose(encoder.encode([endless]), encoder.encode([endless + "a b c"]), atol=1e-6)


class TestMiniLm:
    def test_it_answers_as_its_float32_source(self) -> None:
        vectors = text_encoder("minilm").encode(GOLDEN["sentences"])
        moved = np.abs(vectors @ vectors.T - np.array(GOLDEN["similarities"]))
        assert moved[:4, :4].max() <= 1.9e-4 and moved.max() <= 2.5e-4
        assert (vectors * np.array(GOLDEN["vectors"])).sum(1).min() >= 0.999999

    def test_what_means_the_same_is_near_and_what_does_not_is_far(self) -> None:
        sofa, couch, rocket, spaceship = text_encoder("minilm").encode(
            [
                "a cat sitting on a sofa",
                "a kitten is sleeping on the couch",
                "a rocket launch at night",
                "spaceship taking off",
            ]
        )
        assert sofa @ couch > 0.55 and rocket @ spaceship > 0.3 and sofa @ rocket < 0.2

    def test_it_takes_no_notice_of_the_role(self) -> None:
        encoder = text_encoder("minilm")
        assert np.array_equal(encoder.encode(["a cat"], "query"), encoder.encode(["a cat"], "passage"))


@pytest.mark.usefixtures("hub_profile")
class TestHubProfile:
    def test_its_default_is_multilingual_e5(self) -> None:
        assert text_encoder().name == "multilingual_e5"

    def test_sentences_get_their_prefix_and_answer_as_the_transformers_class_does(self, hub_profile: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = hub_profile / "multilingual_e5"
        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
        encoder = text_encoder()
        for text, found in (
            ("query: a cat", encoder.encode(["a cat"])[0]),
            ("passage: a cat", encoder.encode(["a cat"], "passage")[0]),
        ):
            with torch.inference_mode():
                hidden = model(**tokenizer([text], return_tensors="pt")).last_hidden_state[0]
            wanted = torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy()
            assert np.allclose(found, wanted, atol=1e-6), text


def test_padding_has_no_part_in_the_mean() -> None:
    hidden, mask = torch.randn(2, 5, 3), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    altered = hidden.clone()
    altered[1, 2:] = 1e3
    assert torch.equal(mean_pooled(hidden, mask), mean_pooled(altered, mask))
