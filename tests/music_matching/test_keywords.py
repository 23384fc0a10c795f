"""Keywords: thresholds, merging, content words, and the vector they make."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.encoders.audio import musicnn_tags
from core.music_matching.config import MatchConfig
from core.music_matching.keywords import (
    MOST_KEYWORDS,
    Keyword,
    imagenet_labels,
    keyword_vector,
    merged,
    said_keywords,
    seen_keywords,
    title_keywords,
)
from core.music_matching.listening import Words

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
        ("snowmountain-ks", ["snow", "mountain"]),
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


class Letters:
    """A text encoder that counts letters; all words have some in common."""

    name, version, dimensions = "letters", "1", 26

    def encode(self, sentences: Sequence[str], role: str = "query") -> np.ndarray:
        counts = [[sentence.lower().count(chr(97 + n)) + 2.0 for n in range(26)] for sentence in sentences]
        return np.array([np.array(row) / np.linalg.norm(row) for row in counts], np.float32)


def test_a_thing_surely_seen_lies_in_the_direction_of_its_word() -> None:
    words, things = Words(MatchConfig(), Letters()), imagenet_labels()
    place = things.index("volcano")
    certain = np.eye(1000, dtype=np.float32)[[place]]
    told = words.direction((Keyword("volcano", 1.0, "title"),))
    assert told is not None and words.seen(certain) @ told == pytest.approx(1, abs=1e-5)


def test_things_that_are_unlikely_count_for_more_than_their_probability() -> None:
    """A softmax at temperature 2: of 0.81 and 0.09, nine to one, three to one is left."""
    words, things = Words(MatchConfig(), Letters()), imagenet_labels()
    chances = np.zeros((1, 1000), np.float32)
    chances[0, [things.index("volcano"), things.index("zebra")]] = 0.81, 0.09
    volcano, zebra = Letters().encode(["volcano", "zebra"]) - words.usual
    mean = 0.75 * volcano + 0.25 * zebra
    assert words.seen(chances) == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_each_tag_has_a_direction_of_its_own_and_together_they_point_nowhere() -> None:
    heard = Words(MatchConfig()).heard
    assert heard.shape == (100, 384) and np.linalg.norm(heard, axis=1) == pytest.approx(1, abs=1e-5)
    tags = [*musicnn_tags("msd"), *musicnn_tags("mtt")]
    metal, rock, choir = (heard[tags.index(name)] for name in ("heavy metal", "hard rock", "choir"))
    assert metal @ rock > metal @ choir + 0.2 and np.linalg.norm(heard.mean(0)) < 0.2


def test_what_all_words_have_in_common_tells_nothing() -> None:
    words = Words(MatchConfig(), Letters())
    plain = Letters().encode(["castle", "zebra"])
    castle, zebra = (words.direction((Keyword(word, 1.0, "title"),)) for word in ("castle", "zebra"))
    assert castle is not None and zebra is not None and castle @ zebra < plain[0] @ plain[1] - 0.2
    assert words.direction(()) is None
