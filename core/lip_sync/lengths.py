"""Which picture is shown when, where speech and film are not of the same length.

The pictures come in some order, each for as long as it is shown in the film itself. Speech shorter than the film leaves
the film as it is, to its end, unless the policy is to trim. Speech longer than the film needs more pictures:

    loop        the film begins again, for as long as there is speech
    ping_pong   it runs backwards and forwards in turns; the pictures at both ends are not shown twice
    hold        the last picture stays; it is written again and again, so that its mouth can go on speaking
    trim        nothing: film and speech end together, with whichever is shorter

Pure functions over exact times; they know no files.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Literal, get_args

from core.errors import ParameterError
from core.lip_sync.sound import FRAME_RATE
from core.media import Shown, Timeline

LengthPolicy = Literal["loop", "ping_pong", "hold", "trim"]
_Lasting = Iterator[tuple[int, Fraction]]


def timeline(
    times_s: Sequence[Fraction], end_s: Fraction, speech_s: Fraction, policy: LengthPolicy = "loop"
) -> Timeline:
    """The pictures to show so that speech of ``speech_s`` has a face.

    The first picture is at 0, pictures are shown whole, and the last one is that during which the speech ends, or a
    later one, see above.

    >>> film = [Fraction(0), Fraction(1), Fraction(2)]
    >>> [shown.source for shown in timeline(film, Fraction(3), Fraction(7), "ping_pong").shown]
    [0, 1, 2, 1, 0, 1, 2]

    Args:
        times_s: when each picture of the film appears, ascending.
        end_s: when the last of them ends; the `core.media.MediaInfo.nominal` of an even film's duration.
        speech_s: how long the speech is; 0 or more.
        policy: what to do about the difference.

    Raises:
        ParameterError: there are no pictures, times do not ascend, the speech has a negative length, or there is no
            such policy.
    """
    _check(times_s, end_s, speech_s, policy)
    lasting = [after - before for before, after in pairwise((*times_s, end_s))]
    length_s = end_s - times_s[0]
    if policy == "trim":
        return _shown(enumerate(lasting), min(speech_s, length_s))
    return _shown(_ORDERS[policy](lasting), max(speech_s, length_s))


def still_timeline(speech_s: Fraction, frame_rate: Fraction = FRAME_RATE) -> Timeline:
    """One picture, shown anew ``frame_rate`` times a second until the speech has ended, and once at least.

    >>> still_timeline(Fraction(1, 10)).end_s
    Fraction(3, 25)

    Raises:
        ParameterError: the speech has a negative length, or the rate is not positive.
    """
    if not frame_rate > 0:
        raise ParameterError(f"The frame rate is {frame_rate}; give a number above zero.")
    return timeline([Fraction(0)], 1 / Fraction(frame_rate), speech_s, "hold")


def _check(times_s: Sequence[Fraction], end_s: Fraction, speech_s: Fraction, policy: str) -> None:
    if not times_s:
        raise ParameterError("The film has no pictures; give one with at least one.")
    for before, after in pairwise((*times_s, end_s)):
        if not before < after:
            raise ParameterError(f"A picture at {float(before)} s ends at {float(after)} s; give ascending times.")
    if not speech_s >= 0:
        raise ParameterError(f"The speech lasts {float(speech_s)} s; give zero or more.")
    if policy not in get_args(LengthPolicy):
        raise ParameterError(
            f"There is no length policy {policy!r}; choose one of {', '.join(get_args(LengthPolicy))}."
        )


def _shown(pictures: _Lasting, until_s: Fraction) -> Timeline:
    """Pictures one after another until ``until_s`` is reached; one at least."""
    shown, now_s = [], Fraction(0)
    for source, lasting_s in pictures:
        shown.append(Shown(source, now_s))
        now_s += lasting_s
        if now_s >= until_s:
            break
    return Timeline(tuple(shown), now_s)


def _looping(lasting: Sequence[Fraction]) -> _Lasting:
    return itertools.cycle(enumerate(lasting))


def _there_and_back(lasting: Sequence[Fraction]) -> _Lasting:
    there = list(enumerate(lasting))
    return itertools.cycle(there + there[-2:0:-1])


def _holding(lasting: Sequence[Fraction]) -> _Lasting:
    """The last picture comes anew at the film's mean distance."""
    yield from enumerate(lasting)
    yield from itertools.repeat((len(lasting) - 1, sum(lasting, Fraction(0)) / len(lasting)))


_ORDERS: dict[LengthPolicy, Callable[[Sequence[Fraction]], _Lasting]] = {
    "loop": _looping,
    "ping_pong": _there_and_back,
    "hold": _holding,
}
