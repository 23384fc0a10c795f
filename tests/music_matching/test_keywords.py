"""Keywords: thresholds, merging, content words, and the vector they make."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.music_matching.keywords import (
    MOST_KEYWORDS,
    Keyword,
    keyword_vector,
    merged,
    said_keywords,
    seen_keywords,
    title_keywords,
)

label = st.tuples(st.sampled_from(["reef", "crab", "lynx"]), st.floats(0, 1))


class Axes:
    """A text encoder with an axis for every word."""

    name, version, dimensions = "axes", "1", 3

    def encode(self, sentences: Sequence[str], role: str = "query") -> np.ndarray:
        return np.stack([np.eye(3, dtype=np.float32)[["sea", "dog", "sun"].index(word)] for word in sentences])


@given(st.lists(st.lists(label, max_size=5), min_size=1, max_size=8), st.floats(0, 1))
def test_a_label_counts_only_where_it_is_surer_than_the_threshold(
    frames: list[list[tuple[str, float]]], threshold: float
) -> None:
    found = {keyword.word: keyword.weight for keyword in seen_keywords(frames, threshold)}
    for word in ("reef", "crab", "lynx"):
        sure = [p for frame in frames for name, p in frame if name == word and p > threshold]
        assert (word in found) == bool(sure)
        assert found.get(word, 0) == pytest.approx(sum(sure) / len(frames), abs=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_what_is_said_is_counted_without_empty_words() -> None:
    found = said_keywords("Well, the sea! I'd say the sea and the wind, and that's it.")
    assert (found[0].word, round(found[0].weight, 2)) == ("sea", 0.5)
    assert {k.word for k in found} == {"sea", "wind", "i'd"} and {k.source for k in found} == {"said"}


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("07_HellFortress-theme_v2.ogg", ["hell", "fortress"]),
        ("knalgan_theme", ["knalgan"]),
        ("track 01", []),
        ("Été à la mer", ["été", "mer"]),
    ],
)
def test_titles_give_the_words_that_say_something(title: str, words: list[str]) -> None:
    assert [keyword.word for keyword in title_keywords(title)] == words


def test_there_are_never_too_many_keywords() -> None:
    assert len(said_keywords(" ".join(f"wor{'d' * n}" for n in range(1, 60)))) == MOST_KEYWORDS


def test_the_vector_is_the_weighted_mean_direction() -> None:
    words = (Keyword("sea", 3.0, "seen"), Keyword("sun", 4.0, "said"))
    assert keyword_vector(words, Axes()) == pytest.approx(np.array([0.6, 0, 0.8]))


def test_no_keywords_are_no_vector_rather_than_zeros() -> None:
    assert keyword_vector((), Axes()) is None


def test_every_source_counts_as_much_as_another() -> None:
    together = merged([Keyword("sea", 5.0, "seen"), Keyword("sun", 5.0, "seen")], [Keyword("dog", 0.1, "said")])
    assert [keyword.weight for keyword in together] == [0.5, 0.5, 1.0]
