"""What the curve of a film's seconds tells: the faults with their times, and the worst moments."""

import itertools
from collections.abc import Sequence

from core.video_quality.results import FAULTS, Fault, SecondScore

SEEN = 0.5
"""How sure a fault must be in a second to be seen there."""
MOST_MOMENTS, APART_S = 5, 2.0


def faults_of(seconds: Sequence[SecondScore], duration_s: float) -> tuple[Fault, ...]:
    """The faults that are seen in any second, the surest first; a span joins the seconds that follow one another.

    >>> faults_of([SecondScore(n, 3.0, (0.9 * (n != 2), *[0.0] * 6)) for n in range(4)], 4.5)
    (Fault(kind='blur', certainty=0.9, spans_s=((0, 2), (3, 4))),)
    """
    found = []
    for index, kind in enumerate(FAULTS):
        certainties = [second.faults[index] for second in seconds if second.faults[index] >= SEEN]
        if certainties:
            spans = _spans([second.start_s for second in seconds if second.faults[index] >= SEEN])
            ends = [(begin, min(end, duration_s) if duration_s > begin else end) for begin, end in spans]
            found.append(Fault(kind, max(certainties), tuple(ends)))
    return tuple(sorted(found, key=lambda fault: -fault.certainty))


def worst_seconds(seconds: Sequence[SecondScore]) -> list[int]:
    """The indexes of the lowest local minima, the worst first: at most `MOST_MOMENTS`, `APART_S` apart.

    Seconds of one score that follow one another are one minimum, at the first of them.

    >>> worst_seconds([SecondScore(n, score, ()) for n, score in enumerate([3, 2, 2, 4, 1, 5])])
    [4, 1]
    """
    runs = [list(run) for _, run in itertools.groupby(range(len(seconds)), lambda index: seconds[index].score)]
    scores = [float("inf"), *(seconds[run[0]].score for run in runs), float("inf")]
    minima = [run[0] for number, run in enumerate(runs, 1) if scores[number - 1] > scores[number] < scores[number + 1]]
    chosen: list[int] = []
    for index in sorted(minima, key=lambda index: seconds[index].score):
        if all(abs(seconds[index].start_s - seconds[other].start_s) >= APART_S for other in chosen):
            chosen.append(index)
    return chosen[:MOST_MOMENTS]


def _spans(starts_s: Sequence[float]) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for start_s in starts_s:
        if spans and spans[-1][1] == start_s:
            spans[-1] = spans[-1][0], start_s + 1
        else:
            spans.append((start_s, start_s + 1))
    return spans
