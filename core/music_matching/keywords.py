"""Entity keywords: what is seen, said or sung, as words with weights, and those as one vector.

Source: METHODS 1, inference, steps 1 and 2: "entity recognition, entity keywords, word vectors". Labels of the image
network and words of the speech recogniser are the entities.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.encoders.text import TextEncoder, Vectors
from core.music_matching.compounds import parts_of
from core.weights import weights_path

Source = Literal["seen", "said", "title"]
MOST_KEYWORDS = 12
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EMPTY_TEXT = """
    a about after again all also am an and any are aren't as at back be because been before being but by can can't come
    could did didn't do does doesn't doing don't down each even ever every for from get give go going gonna gotta had
    has have having he her here him his how i i'm i've if in into is isn't it it's its just keep know let let's like
    look make many may me more much must my need never no not now of off oh ok okay on one only or other our out over
    own put really say see she should so some still such take tell than that that's the their them then there there's
    these they they're thing think this those through to too two under until up us very wanna want was way we well were
    what when where which while who why will with won't would yeah yes you you're your
"""
_NO_TITLE_TEXT = """
    audio bgm clip dsc export fast feat film final ft img intro loop main master mix mov movie mp music new no ogg old
    opus original ost outro part rec recording remake remaster remastered remix render score song soundtrack theme title
    track trk untitled ver version vid video vol volume wav
"""
_EMPTY, _NO_TITLE = frozenset(_EMPTY_TEXT.split()), frozenset(_NO_TITLE_TEXT.split())


@dataclass(frozen=True)
class Keyword:
    """A word for something in a film or in a track, how much it counts (above 0), and where it comes from."""

    word: str
    weight: float
    source: Source


def seen_keywords(frames: Sequence[Sequence[tuple[str, float]]], threshold: float) -> tuple[Keyword, ...]:
    """The things seen in a film: of every frame the labels that are surer than a threshold, merged over all frames.

    Args:
        frames: of each frame its labels with their probabilities.
        threshold: 0 to 1.

    Returns:
        At most `MOST_KEYWORDS`, the weightiest first; a weight is the mean over all frames of what passed.

    >>> seen_keywords([[("reef", 0.8), ("crab", 0.1)], [("reef", 0.4)]], 0.2)
    (Keyword(word='reef', weight=0.6, source='seen'),)
    """
    sums: Counter[str] = Counter()
    for labels in frames:
        for label, probability in labels:
            if probability > threshold:
                sums[label.partition(" (")[0]] += probability / len(frames)  # type: ignore[assignment]
    return _weightiest({word: round(weight, 6) for word, weight in sums.items()}, "seen")


def said_keywords(text: str) -> tuple[Keyword, ...]:
    """The content words of what is said or sung, by how often they come; words that carry no meaning are left out.

    >>> [keyword.word for keyword in said_keywords("The river, the river runs to the sea")]
    ['river', 'runs', 'sea']
    """
    words = [word for word in _words(text) if word not in _EMPTY and len(word) > 2]
    counts = Counter(words)
    return _weightiest({word: count / len(words) for word, count in counts.items()}, "said")


def title_keywords(title: str) -> tuple[Keyword, ...]:
    """The words of a title or a file name that say something; numbers, formats and the like are left out.

    Words that are written together are cut apart, see `parts_of`.

    >>> [keyword.word for keyword in title_keywords("07_HellFortress-snowmountain-theme_v2.ogg")]
    ['hell', 'fortress', 'snow', 'mountain']
    """
    spaced = _CAMEL.sub(" ", title).replace("_", " ")
    telling = [word for word in _words(spaced) if word not in _EMPTY | _NO_TITLE and len(word) > 2]
    words = [part for word in telling for part in parts_of(word) if part not in _EMPTY | _NO_TITLE]
    return _weightiest(dict.fromkeys(dict.fromkeys(words), 1.0), "title")


def keyword_vector(keywords: Sequence[Keyword], encoder: TextEncoder) -> Vectors | None:
    """The direction (D,) in which the keywords point: the mean of their word vectors by weight, at unit length.

    None where there are no keywords: a modality that is missing is not a vector of zeros.
    """
    if not keywords:
        return None
    weights = np.array([keyword.weight for keyword in keywords], np.float32)
    mean = weights @ encoder.encode([keyword.word for keyword in keywords])
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None


def unit(vector: Vectors) -> Vectors:
    """A vector (D,) at unit length; zeros stay zeros."""
    length = float(np.linalg.norm(vector))
    return (vector / max(length, 1e-9)).astype(np.float32)


def imagenet_labels() -> list[str]:
    """The names of the 1000 things that the image network can see.

    Raises:
        WeightsError: its weights are missing or wrong.
    """
    labels: list[str] = json.loads(weights_path("efficientnet_lite0", "imagenet_labels.json").read_text("utf-8"))
    return labels


def merged(*parts: Iterable[Keyword]) -> tuple[Keyword, ...]:
    """Keywords of several sources, each source counting as much as another."""
    kept = []
    for part in map(tuple, parts):
        total = sum(keyword.weight for keyword in part)
        kept += [Keyword(k.word, k.weight / total, k.source) for k in part]
    return tuple(kept)


def _words(text: str) -> list[str]:
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def _weightiest(weights: Mapping[str, float], source: Source) -> tuple[Keyword, ...]:
    ranked = sorted(weights.items(), key=lambda item: (-item[1], list(weights).index(item[0])))
    return tuple(Keyword(word, weight, source) for word, weight in ranked[:MOST_KEYWORDS])
