"""What a search answers."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["cosine", "hash"]
Relation = Literal["copy", "topic", ""]


@dataclass(frozen=True)
class SimilarVideo:
    """One answer: a video of the library, and how similar it is to the query."""

    id: str
    path: str
    title: str
    duration_s: float
    similarity: float
    """Cosine of the two most similar segments, -1 to 1; 1 for the same pictures in the same order."""
    score: float = 0.0
    """The similarity less what the query has in common with films it has nothing to do with; see `baseline`."""
    relation: Relation = ""
    """``copy``: a near copy; ``topic``: of the same topic; empty: neither, only the nearest there is."""
    tags: tuple[str, ...] = ()
    offset_s: float | None = None
    """Where in this video the query begins; negative when it begins before. None when nothing tells."""
    why: str = ""
    """A sentence for people."""


@dataclass(frozen=True)
class SearchAnswer:
    """What was found for one query, best first, and how long the library took."""

    results: tuple[SimilarVideo, ...]
    mode: Mode
    seconds: float
    """Of the search in the library; describing the query is not in it."""


@dataclass(frozen=True)
class Recommendation:
    """What to show beside a video."""

    results: tuple[SimilarVideo, ...]
    fallback: str = ""
    """Empty; or, when nothing is similar enough, the sentence that says what is shown instead."""
