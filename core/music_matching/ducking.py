"""Ducking: how far the music goes down while somebody speaks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.encoders.voice import VoiceSpan
from core.music_matching.config import LayConfig


def joined(spans: Sequence[VoiceSpan], gap_s: float) -> list[VoiceSpan]:
    """Spans with the pauses between them closed that are shorter than a gap.

    >>> joined([VoiceSpan(0, 1), VoiceSpan(1.5, 2), VoiceSpan(9, 10)], 1.0)
    [VoiceSpan(start_s=0, end_s=2), VoiceSpan(start_s=9, end_s=10)]
    """
    kept: list[VoiceSpan] = []
    for span in sorted(spans, key=lambda span: span.start_s):
        if kept and span.start_s - kept[-1].end_s < gap_s:
            kept[-1] = VoiceSpan(kept[-1].start_s, max(kept[-1].end_s, span.end_s))
        else:
            kept.append(span)
    return kept


def ducking_gain(spans: Sequence[VoiceSpan], times_s: NDArray[np.floating], config: LayConfig) -> NDArray[np.float32]:
    """The gain of the music at some times, as a factor: (N,), 1 where nobody speaks.

    It goes down, straight in decibels, in ``attack_s`` before a voice, is all the way down while it lasts, and comes
    up again in ``release_s`` after it. Pauses too short for both are passed over.
    """
    closed = joined(spans, config.attack_s + config.release_s)
    down = np.zeros(len(times_s))
    for span in closed:
        before = (times_s - (span.start_s - config.attack_s)) / config.attack_s
        after = (span.end_s + config.release_s - times_s) / config.release_s
        down = np.maximum(down, np.clip(np.minimum(before, after), 0, 1))
    return (10 ** (config.duck_db * down / 20)).astype(np.float32)
