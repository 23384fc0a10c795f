"""What the quality score tells of a video."""

from dataclasses import asdict, dataclass
from typing import Any

FAULTS = ("blur", "blocks", "noise", "freeze", "exposure", "shake", "banding")
"""The faults that are told apart, in the order of the network's answers."""


@dataclass(frozen=True)
class SecondScore:
    """One second of a video that was looked at.

    Attributes:
        start_s: when it begins, in seconds.
        score: 1 to 5.
        faults: how surely each of `FAULTS` is seen, 0 to 1.
    """

    start_s: float
    score: float
    faults: tuple[float, ...]


@dataclass(frozen=True)
class Fault:
    """A fault that was seen, and when.

    Attributes:
        kind: one of `FAULTS`.
        certainty: the highest, 0 to 1.
        spans_s: (start, end) of each stretch in which it was seen, in seconds.
    """

    kind: str
    certainty: float
    spans_s: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Moment:
    """One of the worst moments: when, how it scores (1 to 5), and a JPEG of it."""

    time_s: float
    score: float
    picture: bytes


@dataclass(frozen=True)
class QualityScore:
    """How good a video looks, as predicted by a network trained on VMAF and published opinion tables.

    Attributes:
        path: the file.
        score: 1 (bad) to 5 (excellent).
        score_100: the same from 0 to 100.
        level: the word of the nearest of the five ITU levels.
        distribution: predicted shares of opinions over the five levels, bad first.
        uncertainty: lower and upper end of the band in which the score lies with about 90 % certainty, 1 to 5.
        per_second: the seconds looked at, in order; all of a film up to the limit, evenly spread ones of a longer film.
        faults: what was seen, the surest first.
        worst: at most five moments, the worst first.
        duration_s: of the film; 0 for a still picture.
        seconds_taken: how long it took.
    """

    path: str
    score: float
    score_100: float
    level: str
    distribution: tuple[float, ...]
    uncertainty: tuple[float, float]
    per_second: tuple[SecondScore, ...]
    faults: tuple[Fault, ...]
    worst: tuple[Moment, ...]
    duration_s: float
    seconds_taken: float


@dataclass(frozen=True)
class Comparison:
    """Two versions of a video side by side.

    Attributes:
        first: how the first scores.
        second: how the second scores.
        difference: score of the second less that of the first.
        certain: the difference is larger than what the network's uncertainty explains.
    """

    first: QualityScore
    second: QualityScore
    difference: float
    certain: bool


def as_row(score: QualityScore) -> dict[str, Any]:
    """A score as plain data, without the pictures; the certainties of a second by the names of `FAULTS`."""
    row = asdict(score)
    for second in row["per_second"]:
        second["faults"] = dict(zip(FAULTS, second["faults"], strict=True))
    for moment in row["worst"]:
        del moment["picture"]
    return row
