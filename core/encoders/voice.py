"""Where in a sound somebody speaks or sings, by Silero VAD.

Source: Silero Team, "Silero VAD: pre-trained enterprise-grade voice activity detector", 2021; the network comes with
faster-whisper (MIT) and runs on the CPU. It was trained on speech; clear singing is found, shouted or choral singing
often not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Wave = NDArray[np.float32]
SAMPLE_RATE = 16000
_PAD_MS, _SHORTEST_PAUSE_MS, _SHORTEST_VOICE_MS = 100, 400, 250


@dataclass(frozen=True)
class VoiceSpan:
    """A stretch of sound in which somebody is heard, in seconds."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return self.end_s - self.start_s


def voice_spans(wave: Wave, threshold: float = 0.5) -> tuple[VoiceSpan, ...]:
    """The stretches in which somebody speaks or sings, in the order of time, without overlaps.

    Pauses of less than 400 ms do not divide a stretch, voices of less than 250 ms are passed over, and each stretch
    begins and ends 100 ms outside what was heard.

    Args:
        wave: (N,), mono at 16 kHz, in [-1, 1].
        threshold: the network's probability from which on it is a voice, 0 to 1.

    Raises:
        ParameterError: ``wave`` has another shape or dtype, or the threshold is out of range.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if wave.dtype != np.float32 or wave.ndim != 1:
        raise ParameterError(f"The sound is {wave.dtype} {wave.shape}; give float32 of shape (N,), mono at 16 kHz.")
    if not 0 < threshold < 1:
        raise ParameterError(f"The threshold is {threshold}; choose a number between 0 and 1.")
    if not len(wave):
        return ()
    options = VadOptions(
        threshold=threshold,
        min_speech_duration_ms=_SHORTEST_VOICE_MS,
        min_silence_duration_ms=_SHORTEST_PAUSE_MS,
        speech_pad_ms=_PAD_MS,
    )
    found = get_speech_timestamps(wave, options, sampling_rate=SAMPLE_RATE)
    return tuple(VoiceSpan(span["start"] / SAMPLE_RATE, span["end"] / SAMPLE_RATE) for span in found)
