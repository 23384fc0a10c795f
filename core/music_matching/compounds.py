"""Words that are written together, cut apart: names of files know no spaces.

Source: the fewest words, and of those the most usual, by dynamic programming, as in the segmentation of hashtags and of
texts without spaces. Ours: parts have at least `LEAST_PART` letters, and how usual a word is tells its place in the
vocabulary of the text network, which begins with the usual ones.
"""

import json
import math
from collections.abc import Mapping
from functools import cache

from core.weights import weights_path

LEAST_PART = 4
"""Shorter parts are mostly syllables: compost is neither com nor post."""


@cache
def usual_words() -> Mapping[str, int]:
    """The whole English words that the text network knows, with their places in its vocabulary.

    Raises:
        WeightsError: its weights are missing or wrong.
    """
    told = json.loads(weights_path("minilm", "tokenizer.json").read_text("utf-8"))
    return {word: place for word, place in told["model"]["vocab"].items() if word.isalpha()}


def parts_of(word: str) -> list[str]:
    """A word in small letters, cut into words that are usual; as it is, where it is one itself or cannot be cut.

    >>> parts_of("darkforestcave"), parts_of("hammock")
    (['dark', 'forest', 'cave'], ['hammock'])
    """
    known = usual_words()
    if word in known or len(word) < 2 * LEAST_PART:
        return [word]
    best: dict[int, tuple[int, float, list[str]]] = {0: (0, 0.0, [])}
    for end in range(LEAST_PART, len(word) + 1):
        for begin in range(end - LEAST_PART + 1):
            part = word[begin:end]
            if begin in best and part in known:
                count, rarity, parts = best[begin]
                found = (count + 1, rarity + math.log(1 + known[part]), [*parts, part])
                best[end] = min(best.get(end, found), found)
    return best[len(word)][2] if len(word) in best else [word]
