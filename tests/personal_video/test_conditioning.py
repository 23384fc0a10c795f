"""Replacing, fusing, and the five modes: the right sources, and only they, matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.encoders.text import TokenOutputs
from core.errors import ParameterError
from core.personal_video.conditioning import Given, Text, prompt_features
from core.personal_video.modes import MODES, Letter, Source
from tests.personal_video.made import WordEncoder, given, small_network

SOURCES = ("text", "database_vectors", "database_pictures", "image_vectors", "image_pictures")
COUNTS = {
    "a": {"text", "database_vectors", "database_pictures"},
    "b": {"text", "image_vectors", "database_pictures", "image_pictures"},
    "c": {"text", "image_pictures"},
    "d": {"text"},
    "e": {"text", "image_pictures"},
}


def changed(what: Given, source: str) -> Given:
    if source == "text":
        return replace(what, text=replace(what.text, hidden=what.text.hidden.flip(1)))
    return replace(what, **{source: getattr(what, source).flip(-1) + 0.5})


def clip_of(mode: Letter, what: Given) -> torch.Tensor:
    network = small_network()
    noise = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        made: torch.Tensor = network.generation(noise, torch.tensor([0.2, 0.6]), network.conditioner(mode, what))
    return made


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mode", MODES)
def test_a_source_changes_the_clip_in_those_modes_that_name_it_and_in_no_other(mode: Letter, source: str) -> None:
    same = torch.equal(clip_of(mode, given()), clip_of(mode, changed(given(), source)))
    assert same == (source not in COUNTS[mode])


def test_the_modes_name_the_sources_that_count() -> None:
    """The table above is that of METHODS 2, as `core.personal_video.modes` says it."""
    pictures = {Source.DATABASE: {"database_pictures"}, Source.IMAGE: {"image_pictures"}, Source.TEXT: set[str](),
                Source.FUSION: {"database_pictures", "image_pictures"}}  # fmt: skip
    vectors = {Source.DATABASE: {"database_vectors"}, Source.IMAGE: {"image_vectors"}, Source.TEXT: set[str]()}
    for letter, mode in MODES.items():
        assert COUNTS[letter] == {"text"} | pictures[mode.details] | vectors[mode.reference]


@pytest.mark.parametrize("mode", ["a", "b", "c", "e"])
def test_a_mode_whose_source_is_missing_is_refused(mode: Letter) -> None:
    with pytest.raises(ParameterError, match="needs"):
        small_network().conditioner(mode, Given(given().text))


def test_the_reference_feature_takes_the_place_of_all_tokens_of_the_concept() -> None:
    networks, what = small_network().conditioner, given(concepts=2)
    slots = torch.tensor([[0, 1, -1, 2, 0, 1]] * 2, dtype=torch.int8)
    text = replace(what.text, slots=slots)
    assert what.database_vectors is not None
    hidden, kept = networks.replaced(text, what.database_vectors)
    assert kept.tolist() == [[True, True, False, True, True, True]] * 2
    assert torch.equal(hidden[:, [0, 4]], text.hidden[:, [0, 4]])
    assert torch.equal(hidden[:, 1], hidden[:, 5]) and not torch.allclose(hidden[:, 1], hidden[:, 3])
    other, _ = networks.replaced(text, what.database_vectors.flip(1))
    torch.testing.assert_close(other[:, 1], hidden[:, 3])


def test_of_several_concepts_each_brings_its_own_looks() -> None:
    what = given(concepts=2)
    assert what.database_pictures is not None
    for concept in (0, 1):
        pictures = what.database_pictures.clone()
        pictures[:, concept] = 0.3
        assert not torch.equal(clip_of("a", what), clip_of("a", replace(what, database_pictures=pictures)))


def test_a_picture_that_is_not_there_does_not_matter() -> None:
    what = given(concepts=2)
    assert what.database_pictures is not None and what.database_present is not None
    present = what.database_present.clone()
    present[:, 1] = 0
    pictures = what.database_pictures.clone()
    pictures[:, 1] += 3
    one = replace(what, database_present=present)
    assert torch.equal(clip_of("a", one), clip_of("a", replace(one, database_pictures=pictures)))


def test_the_gate_shares_between_database_and_image_and_leaves_other_concepts_alone() -> None:
    network = small_network()
    details = network.conditioner("b", given(concepts=2)).details
    weights = details.weights.detach()
    assert weights.shape == (2, 2, 2)
    torch.testing.assert_close(weights[:, 0].sum(1), torch.ones(2))
    assert (weights[:, 0] > 0.02).all() and weights[:, 1].tolist() == [[1, 0]] * 2


def test_dropping_text_or_subject_hides_just_that() -> None:
    network, what = small_network(), given()
    condition = network.conditioner("a", what)
    assert not condition.without_text().kept.any() and torch.equal(condition.without_text().hidden, condition.hidden)
    some = condition.without_subject(torch.tensor([True, False])).details
    assert some.weights[:, 0, 0].tolist() == [0, 1] and some.copied[:, 0, 0].tolist() == [0, 1]


def test_tokens_of_a_concept_are_found_by_their_characters() -> None:
    (outputs,) = WordEncoder().tokens(["My old dog hops and rex spins."])
    features = prompt_features(outputs, [((0, 10), 0), ((20, 23), 1)])
    assert features.slots.tolist() == [1, -1, -1, 0, 0, 2, 0]


def test_a_concept_behind_the_end_of_what_is_read_is_refused() -> None:
    outputs = TokenOutputs(np.zeros((2, 384), np.float32), np.array([[0, 0], [0, 5]]))
    with pytest.raises(ParameterError, match="too far back"):
        prompt_features(outputs, [((900, 904), 0)])


def test_shorter_prompts_are_filled_up_with_tokens_that_are_not_there() -> None:
    encoder = WordEncoder()
    text = Text.of([prompt_features(outputs, []) for outputs in encoder.tokens(["one", "one two three"])])
    assert text.kept.tolist() == [[True, False, False], [True, True, True]]
    torch.testing.assert_close(text.hidden[0, 0], text.hidden[1, 0])
