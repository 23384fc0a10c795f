"""Loudness and true peak of sound, and sound brought below a peak, both by libav's filters.

Source: EBU R 128 and ITU-R BS.1770-5 (gated loudness, true peak at four times the rate), in libav's ``ebur128``;
``alimiter`` at four times the rate holds the true peak.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import cast

import av
import numpy as np
from av import AudioFrame
from av.filter import Graph
from numpy.typing import NDArray

from core.errors import ParameterError
from core.media.audio import AudioClip
from core.media.write import LAYOUTS

SILENCE_LUFS = -70.0
"""What BS.1770 calls silence: below its absolute gate."""
_OVERSAMPLING = 4
_ATTACK_MS, _RELEASE_MS = 5, 80


@dataclass(frozen=True)
class Loudness:
    """How loud a sound is.

    Attributes:
        integrated_lufs: gated loudness of all of it; `SILENCE_LUFS` for silence, and for less than 0.4 seconds.
        true_peak_dbtp: the highest peak between the samples as well as on them; minus infinity for silence.
    """

    integrated_lufs: float
    true_peak_dbtp: float

    @property
    def is_silent(self) -> bool:
        """True where nothing is loud enough, or long enough, to be measured."""
        return self.integrated_lufs <= SILENCE_LUFS


def measure_loudness(clips: Iterable[AudioClip]) -> Loudness:
    """Measure sound that comes in clips of one rate and one number of channels, and hold one at a time.

    Raises:
        ParameterError: the number of channels has no layout.
    """
    integrated, peak = SILENCE_LUFS, -math.inf
    for frame in _filtered(clips, [("ebur128", "metadata=1:peak=true")]):
        told = frame.metadata
        integrated = float(told.get("lavfi.r128.I", integrated))
        peaks = (float(value) for key, value in told.items() if key.startswith("lavfi.r128.true_peaks_ch"))
        peak = max(peak, *peaks, -math.inf)
    decibels = 20 * math.log10(peak) if peak > 0 else -math.inf
    return Loudness(max(integrated, SILENCE_LUFS) if math.isfinite(integrated) else SILENCE_LUFS, decibels)


def limited(clips: Iterable[AudioClip], gain_db: float, ceiling_dbtp: float) -> Iterator[AudioClip]:
    """Sound with a gain, and its true peak held below a ceiling; as many samples as before.

    Args:
        clips: of one rate and one number of channels.
        gain_db: applied first.
        ceiling_dbtp: at most 0; peaks above it are turned down 5 ms ahead, and let go over 80 ms. Noise up to half the
            sample rate may stand half a decibel above it again, once it is back at that rate.

    Raises:
        ParameterError: the ceiling is out of range, or the number of channels has no layout.
    """
    if not -30 <= ceiling_dbtp <= 0:
        raise ParameterError(f"The ceiling is {ceiling_dbtp} dBTP; give -30 to 0.")
    iterator = iter(clips)
    first = next(iterator, None)
    if first is None:
        return
    rate, linear = first.sample_rate, 10 ** (ceiling_dbtp / 20)
    limiter = f"limit={linear:.6f}:level=false:attack={_ATTACK_MS}:release={_RELEASE_MS}:latency=true"
    stages = [
        ("volume", f"volume={gain_db:.4f}dB"),
        ("aresample", str(rate * _OVERSAMPLING)),
        ("alimiter", limiter),
        ("aresample", str(rate)),
        ("aformat", "sample_fmts=flt"),
    ]
    for frame in _filtered(_with_first(first, iterator), stages):
        samples = cast(NDArray[np.float32], frame.to_ndarray()).reshape(frame.samples, -1)
        yield AudioClip(np.ascontiguousarray(samples), rate)


def _filtered(clips: Iterable[AudioClip], stages: list[tuple[str, str]]) -> Iterator[AudioFrame]:
    """What a chain of filters makes of clips."""
    graph: Graph | None = None
    position = 0
    for clip in clips:
        channels = clip.samples.shape[1]
        if channels not in LAYOUTS:
            raise ParameterError(f"The sound has {channels} channels; mix it to 1-6 or 8.")
        if graph is None:
            graph = _chain(clip.sample_rate, LAYOUTS[channels], stages)
        for begin in range(0, len(clip.samples), clip.sample_rate):
            block = clip.samples[begin : begin + clip.sample_rate]
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), "flt", LAYOUTS[channels])
            frame.sample_rate, frame.pts, frame.time_base = clip.sample_rate, position, Fraction(1, clip.sample_rate)
            position += len(block)
            graph.push(frame)
            yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _chain(rate: int, layout: str, stages: list[tuple[str, str]]) -> Graph:
    graph = Graph()
    source = graph.add_abuffer(format="flt", sample_rate=rate, layout=layout, time_base=Fraction(1, rate))
    links = [source, *(graph.add(name, options) for name, options in stages), graph.add("abuffersink")]
    for before, after in pairwise(links):
        before.link_to(after)
    graph.configure()
    return graph


def _ready(graph: Graph) -> Iterator[AudioFrame]:
    while True:
        try:
            yield cast(AudioFrame, graph.pull())
        except (av.BlockingIOError, av.EOFError):
            return


def _with_first(first: AudioClip, rest: Iterable[AudioClip]) -> Iterator[AudioClip]:
    yield first
    yield from rest
