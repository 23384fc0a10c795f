"""Laying a track under a film (METHODS 1, "Loading"): bed, ducking, mix, loudness, and the untouched picture.

The loudness is brought to its target in two passes over the mix, and once more if what the encoder made of it is off.
Nothing is held in memory but the track: films of hours are mixed second by second.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.encoders.voice import SAMPLE_RATE as VOICE_RATE
from core.encoders.voice import VoiceSpan, voice_spans
from core.errors import MediaError
from core.media import AudioClip, MediaInfo, MediaLimits, probe, read_audio, replace_soundtrack, stream_audio
from core.media.audio import AudioRequest
from core.media.loudness import Loudness, limited, measure_loudness
from core.music_matching.bed import BedPlan, plan_pieces, render_bed
from core.music_matching.config import LayConfig, Mode
from core.music_matching.ducking import ducking_gain
from core.music_matching.results import LaidFilm
from core.music_matching.rhythm import Rhythm
from core.runtime import Progress, silent

Samples = NDArray[np.float32]
RATE = 48000
SURROUND = 6
_HEADROOM_DB = 0.7
"""By how much an encoder's peaks are expected to rise."""
_CLOSE_LU = 0.2
_AAC_FRAME = 1024
"""Samples that the encoder takes at once; whole frames end where they should, and no later than the picture."""
_ROUNDS = 4


@dataclass(frozen=True)
class Music:
    """A track as it is to be laid.

    Attributes:
        path: its file.
        rhythm: where its bars are.
        start_s: where in it to begin.
    """

    path: Path
    rhythm: Rhythm
    start_s: float


def lay(
    video: Path, music: Music, out: Path, how: tuple[LayConfig, MediaLimits], progress: Progress = silent
) -> LaidFilm:
    """Lay a track under a film.

    The film's own sound may be mono to 5.1, or missing, or silent, which is as good as ``replace``. The result is
    as long as the film to the picture; its sound is stereo, or 5.1 where the film's is and is kept.

    Raises:
        MediaError: a file cannot be read, the film is a still picture, or the picture does not fit into ``out``.
        ParameterError: the track is too short to be looped, or the start lies outside it.
        CancelledError: ``progress`` says so; nothing is left behind.
    """
    started, (config, limits) = time.perf_counter(), how
    info = probe(video, limits)
    if info.is_still:
        raise MediaError(f"{info.path.name} is a still picture; give a film to lay music under.")
    progress(0, 10, "Reading the music")
    mix = _Mix.of(info, music, config, limits)
    progress(2, 10, "Measuring the loudness")
    told = _write(mix, info, out, config, progress)
    return LaidFilm(
        out=str(out),
        duration_s=float(info.duration_s),
        seconds_taken=time.perf_counter() - started,
        mode=mix.mode,
        start_s=music.start_s,
        pieces=tuple((piece.begin_s, piece.end_s) for piece in mix.plan.pieces),
        ducked_s=tuple((span.start_s, span.end_s) for span in mix.spans),
        loudness_lufs=told.integrated_lufs,
        true_peak_dbtp=told.true_peak_dbtp,
    )


@dataclass(frozen=True)
class _Mix:
    """What is mixed: the film's own sound, the bed, and what ducks it.

    Attributes:
        own: the film's sound in blocks, (n, channels); called anew for every pass. None where it is not kept.
        track: (N, 2).
        plan: of the bed.
        spans: under which the bed is ducked.
        gain: of the bed.
        channels: of the result.
        total: samples.
        mode: what is really done: without a sound of its own a film's is replaced.
        config: as asked.
    """

    own: Callable[[], Iterator[Samples]] | None
    track: Samples
    plan: BedPlan
    spans: tuple[VoiceSpan, ...]
    gain: float
    channels: int
    total: int
    mode: Mode
    config: LayConfig

    @classmethod
    def of(cls, info: MediaInfo, music: Music, config: LayConfig, limits: MediaLimits) -> "_Mix":
        """Decide what is mixed, and how loud."""
        own = None if config.mode == "replace" else _own_sound(info, limits)
        loud = measure_loudness(_as_clips(own())) if own else Loudness(-70.0, float("-inf"))
        own = None if loud.is_silent else own
        track = _stereo(read_audio(music.path, RATE, limits=limits).samples)
        wanted = float(info.duration_s)
        fade_in, fade_out = (min(fade, wanted / 2) for fade in (config.fade_in_s, config.fade_out_s))
        pieces = plan_pieces(len(track) / RATE, music.rhythm.downbeats_s, music.start_s, wanted, config.crossfade_s)
        plan = BedPlan(pieces, config.crossfade_s, fade_in, fade_out)
        bed = measure_loudness(_as_clips(render_bed(track, plan, RATE)))
        gain_db = 0.0 if own is None or bed.is_silent else loud.integrated_lufs + config.music_db - bed.integrated_lufs
        spans = _spoken(info, limits) if own is not None and config.mode == "duck" else ()
        channels = SURROUND if own is not None and info.audio and info.audio.channels == SURROUND else 2
        mode: Mode = "replace" if own is None else config.mode
        total = max(_AAC_FRAME, int(info.duration_s * RATE) // _AAC_FRAME * _AAC_FRAME)
        return cls(own, track, plan, spans, 10 ** (gain_db / 20), channels, total, mode, config)

    def clips(self) -> Iterator[AudioClip]:
        """The mix, second by second, exactly as long as the film."""
        bed = _blocks(render_bed(self.track, self.plan, RATE), self.total, 2)
        own = _blocks(self.own() if self.own else iter(()), self.total, self.channels)
        at = 0
        for music, sound in zip(bed, own, strict=True):
            times = (at + np.arange(len(music))) / RATE
            ducked = ducking_gain(self.spans, times, self.config) if self.spans else np.ones(len(music), np.float32)
            block = sound.copy()
            block[:, :2] += music * (self.gain * ducked)[:, None]
            at += len(music)
            yield AudioClip(block.astype(np.float32), RATE)


def _write(mix: _Mix, info: MediaInfo, out: Path, config: LayConfig, progress: Progress) -> Loudness:
    """Write the film, and again with what the first writing taught, until loudness and peak are right."""
    told = measure_loudness(mix.clips())
    gain_db = 0.0 if told.is_silent else config.loudness_lufs - told.integrated_lufs
    ceiling = max(-30.0, config.peak_dbtp - _HEADROOM_DB)
    for round_number in range(_ROUNDS):
        progress(4 + round_number, 10, "Writing")
        replace_soundtrack(info.path, limited(mix.clips(), gain_db, ceiling), out)
        told = measure_loudness(stream_audio(out, AudioRequest(sample_rate=RATE)))
        off, over = config.loudness_lufs - told.integrated_lufs, told.true_peak_dbtp - config.peak_dbtp
        if told.is_silent or (abs(off) <= _CLOSE_LU and over <= 0):
            break
        gain_db += off
        ceiling = max(-30.0, ceiling - max(0.0, over + 0.1 if over > 0 else 0.0))
    progress(10, 10, "Laid")
    return told


def _own_sound(info: MediaInfo, limits: MediaLimits) -> Callable[[], Iterator[Samples]] | None:
    """The film's own sound, as often as wanted; None where it has none."""
    if info.audio is None:
        return None
    surround = info.audio.channels == SURROUND

    def blocks() -> Iterator[Samples]:
        for clip in stream_audio(info.path, AudioRequest(sample_rate=RATE), limits):
            yield clip.samples if surround and clip.samples.shape[1] == SURROUND else _stereo(clip.samples)

    return blocks


def _spoken(info: MediaInfo, limits: MediaLimits) -> tuple[VoiceSpan, ...]:
    return voice_spans(read_audio(info.path, VOICE_RATE, mono=True, limits=limits).samples[:, 0])


def _stereo(samples: Samples) -> Samples:
    """Samples (N, C) as (N, 2): mono on both sides, stereo as it is, anything else as the mean of its channels."""
    return samples if samples.shape[1] == 2 else np.repeat(samples.mean(1, keepdims=True), 2, axis=1)


def _as_clips(blocks: Iterator[Samples]) -> Iterator[AudioClip]:
    return (AudioClip(np.ascontiguousarray(block, np.float32), RATE) for block in blocks if len(block))


def _blocks(parts: Iterator[Samples], total: int, channels: int) -> Iterator[Samples]:
    """Parts of any length as blocks of a second, ``total`` samples in all, with silence where they end early."""
    held: list[Samples] = []
    for begin, end in pairwise([*range(0, total, RATE), total]):
        while sum(map(len, held)) < end - begin and (part := next(parts, None)) is not None:
            held.append(part)
        whole = np.concatenate([np.zeros((0, channels), np.float32), *held])
        block, held = whole[: end - begin], [whole[end - begin :]]
        yield np.pad(block, ((0, end - begin - len(block)), (0, 0)))
