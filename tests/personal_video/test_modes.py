"""The five input modes, against the table of METHODS 2."""

import numpy as np
import pytest

from core.personal_video.modes import MODES, SAME_SUBJECT_COSINE, Source, mode_of, shown_concept
from core.personal_video.prompt import parse_prompt

TABLE = [
    # letter, concept in the text, image, image shows it, semantic features, detail features
    ("a", True, False, False, Source.DATABASE, Source.DATABASE),
    ("b", True, True, True, Source.IMAGE, Source.FUSION),
    ("c", True, True, False, Source.TEXT, Source.IMAGE),
    ("d", False, False, False, Source.TEXT, Source.TEXT),
    ("e", False, True, False, Source.TEXT, Source.IMAGE),
]


@pytest.mark.parametrize(("letter", "concept", "image", "shows", "reference", "details"), TABLE)
def test_each_mode_takes_its_features_from_where_the_table_says(
    letter: str, concept: bool, image: bool, shows: bool, reference: Source, details: Source
) -> None:
    mode = mode_of(parse_prompt("a biscuit runs", ["biscuit"] if concept else []), image, shows)
    assert (mode.letter, mode.reference, mode.details) == (letter, reference, details)
    assert mode.needs_image == image
    assert mode.needs_database == (letter in "ab")


def test_the_five_modes_are_said_in_five_different_sentences() -> None:
    assert len({mode.sentence for mode in MODES.values()}) == 5


@pytest.mark.parametrize("shows", [True, False])
def test_whether_the_image_shows_the_concept_matters_only_with_a_concept_and_an_image(shows: bool) -> None:
    concept, plain = parse_prompt("biscuit", ["biscuit"]), parse_prompt("a dog", ["biscuit"])
    letters = [
        mode_of(prompt, image, shows).letter for prompt, image in ((concept, False), (plain, False), (plain, True))
    ]
    assert letters == ["a", "d", "e"]


def test_the_concept_that_an_image_shows_is_the_most_alike_one_and_only_above_the_threshold() -> None:
    references = {"milo": np.array([0.0, 2.0]), "biscuit": np.array([1.0, 0.0])}
    for degrees, word in ((10, "biscuit"), (80, "milo")):
        angle = np.radians(degrees)
        shown = shown_concept(3 * np.array([np.cos(angle), np.sin(angle)]), references)
        assert shown.word == word
        assert shown.similarity == pytest.approx(np.cos(np.radians(10)))
        assert shown.is_target
    edge = np.arccos(SAME_SUBJECT_COSINE)
    for angle, is_target in ((edge - 0.01, True), (edge + 0.01, False)):
        assert shown_concept(np.array([np.cos(angle), -np.sin(angle)]), references).is_target == is_target
    assert not shown_concept(np.zeros(2), references).is_target
