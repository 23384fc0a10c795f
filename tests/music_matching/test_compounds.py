"""Words that are written together are cut apart where that tells more, and left alone where it does not."""

import pytest

from core.music_matching.compounds import parts_of, usual_words


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("snowmountain", ["snow", "mountain"]),
        ("darkforestcave", ["dark", "forest", "cave"]),
        ("underwater", ["underwater"]),
        ("compost", ["compost"]),
        ("hammock", ["hammock"]),
        ("wisphunt", ["wisphunt"]),
        ("", [""]),
    ],
)
def test_names_of_files_are_cut_into_words_that_are_usual(word: str, parts: list[str]) -> None:
    assert parts_of(word) == parts


def test_of_two_ways_to_cut_the_one_with_the_more_usual_words_is_taken() -> None:
    known = usual_words()
    assert {"camp", "stone", "camps", "tone", "justice", "land", "just", "iceland"} <= set(known)
    assert parts_of("campstone") == ["camp", "stone"] and parts_of("justiceland") == ["justice", "land"]
