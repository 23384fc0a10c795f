"""What the encoder is trained on: frozen features of augmented sequences, computed once (METHODS 3, training).

The document draws two augmented sequences of every video at every step and runs the whole network on them, 512 videos
a batch. Here the image network is frozen, so a video's sequences are drawn ahead of time, a stated number of them,
and their features kept in a file per video; a step then picks any two of them. What it costs: a video is seen in
``draws`` guises and no more, and the image network itself does not learn.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoders.image import ImageEncoder
from core.errors import MediaError, ParameterError, check_ranges
from core.media import MediaLimits, VideoReader, limits_from_environment, probe
from core.media.whole_file import written_whole
from core.runtime import Progress, silent
from core.video_search.advertising import NEAR_S, FilmFrames, content_spans
from core.video_search.augment import Augmentation, Augmenter, Pictures
from core.video_search.descriptor import unit_rows
from core.video_search.features import sampling_rate

SEQUENCE_S, SEQUENCE_FRAMES, MIN_FRAMES = 32, 32, 8
"""Length of a sequence in seconds and frames, and the least number of frames of a shorter clip."""
LEAST_S, LONGEST_S = 3 * NEAR_S, 600
"""Films shorter than that have no advertising looked for; of longer ones than that the middle is used."""
CACHE_VERSION = "1"
_MASTER_SIDE_PX = 320
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SequenceConfig:
    """How sequences are drawn.

    Raises:
        ParameterError: a value is out of its range.
    """

    draws: int = field(default=24, metadata={"help": "augmented sequences kept of every video, 2 to 1000"})
    web_copies: bool = field(default=True, metadata={"help": "augment as copies on the web are changed, too"})
    seed: int = 0
    limits: MediaLimits = field(default_factory=limits_from_environment)

    def __post_init__(self) -> None:
        check_ranges(self, ("draws", 2, 1000))


@dataclass(frozen=True)
class Window:
    """A stretch of a film and how it is sampled: where it starts, and the seconds between two frames."""

    start_s: float
    step_s: float
    frames: int


def draw_window(duration_s: float, random: np.random.Generator) -> Window:
    """Where a sequence of a film lies.

    A film of 32 s and more gives any 32 seconds of it, a frame each second. Of a shorter one the sequence is 60 to
    100 %, sampled as the search samples a clip of that length, and played at 0.8 to 1.25 of its speed.
    """
    if duration_s >= SEQUENCE_S:
        return Window(float(random.uniform(0, duration_s - SEQUENCE_S)), 1.0, SEQUENCE_FRAMES)
    length_s = duration_s * float(random.uniform(0.6, 1))
    rate = float(sampling_rate(Fraction(length_s), 1.0, MIN_FRAMES)) * float(random.uniform(0.8, 1.25))
    frames = int(np.clip(round(length_s * rate), MIN_FRAMES, SEQUENCE_FRAMES))
    return Window(float(random.uniform(0, duration_s - length_s)), length_s / frames, frames)


def cached_features(
    paths: Sequence[Path], folder: Path, encoder: ImageEncoder, config: SequenceConfig, progress: Progress = silent
) -> list[Path]:
    """Compute the features of every film that has none yet; return the files, those of unreadable films left out.

    Each file holds ``draw_0`` … of shape (T, D), float16, ``draw_0`` being the film as it is. A run that was stopped
    goes on where it was. Draws depend on the film's content and on how they are made, except that what lies behind a
    small picture comes from the film before it in the list. Films of the same content are taken once. Of films of a
    minute and more, heads and tails that are advertising are left out (`programme_spans`), and of what is left of a
    film no more than the middle ten minutes are used.

    Raises:
        CancelledError: ``progress`` says so; finished files are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[Path, None] = {}
    before: Path | None = None
    behind: Pictures | None = None
    spans = programme_spans(paths, encoder, config.limits, progress, folder / "ends")
    for index, (path, span) in enumerate(spans.items()):
        progress(index, len(spans), path.name)
        target = folder / f"{_key(path, span, encoder, config)}.npz"
        if target.exists():
            behind = None
        else:
            frames = _master(path, span, config.limits)
            if behind is None:
                behind = frames if before is None else _master(before, spans[before], config.limits)
            _write_features(target, _sequences(frames, behind, span.length_s, (config, target.stem, encoder)))
            behind = frames[:SEQUENCE_FRAMES].copy()
        before = path
        made[target] = None
    progress(len(spans), len(spans), "features")
    return list(made)


@dataclass(frozen=True)
class Span:
    """The part of a film that is used, in seconds."""

    start_s: Fraction
    end_s: Fraction
    whole: bool
    """Nothing was cut off."""

    @property
    def length_s(self) -> float:
        """How long the part is."""
        return float(self.end_s - self.start_s)


def programme_spans(
    paths: Sequence[Path],
    encoder: ImageEncoder,
    limits: MediaLimits,
    progress: Progress = silent,
    kept: Path | None = None,
) -> dict[Path, Span]:
    """What is left of each readable film when advertising at head and tail is cut off; others are left out.

    Args:
        paths: a whole collection.
        encoder: tells which frames are alike.
        limits: of what is read.
        progress: told of films.
        kept: folder where the frames of heads and tails are kept, so that they are read once; None reads them anew.

    Raises:
        CancelledError: ``progress`` says so.
    """
    durations: dict[Path, Fraction] = {}
    ends: dict[Path, FilmFrames] = {}
    for path in paths:
        progress(0, len(paths), path.name)
        try:
            duration = probe(path, limits).duration_s
            if duration >= LEAST_S:
                ends[path] = _kept_ends(path, duration, (encoder, limits), kept)
            durations[path] = duration
        except MediaError as error:
            _log.warning("Left out: %s", error)
    cut = dict(zip(ends, content_spans(list(ends.values())), strict=True))
    return {path: _span(duration, cut.get(path)) for path, duration in durations.items()}


def _kept_ends(path: Path, duration: Fraction, how: tuple[ImageEncoder, MediaLimits], kept: Path | None) -> FilmFrames:
    """What `_head_and_tail` gives, from a file where there is one."""
    if kept is None:
        return _head_and_tail(path, duration, *how)
    encoder = how[0]
    file = kept / f"{_content_digest(path, f'{encoder.name} {encoder.version} {NEAR_S}')}.npz"
    if not file.exists():
        kept.mkdir(parents=True, exist_ok=True)
        ends = _head_and_tail(path, duration, *how)
        with written_whole(file) as part, part.open("wb") as stream:
            np.savez(stream, vectors=ends.vectors, spread=ends.spread)
    with np.load(file) as arrays:
        return FilmFrames(arrays["vectors"], arrays["spread"])


def _head_and_tail(path: Path, duration: Fraction, encoder: ImageEncoder, limits: MediaLimits) -> FilmFrames:
    """The first and the last seconds of a film, a frame each second."""
    seconds = [*range(NEAR_S), *(duration - NEAR_S + second for second in range(NEAR_S))]
    times_s = sorted(time for time in map(Fraction, seconds) if 0 <= time < duration)
    with VideoReader(path, size=(encoder.size, encoder.size), limits=limits, seeking=True) as reader:
        pixels = np.stack([frame.pixels for frame in reader.frames_at(times_s)])
    return FilmFrames(unit_rows(encoder.encode(pixels)), pixels.mean(3).std((1, 2)).astype(np.float32))


def _span(duration: Fraction, cut: tuple[int, int] | None) -> Span:
    """Seconds of head and tail taken off, and no more than the middle ten minutes."""
    head, tail = (cut[0], 2 * NEAR_S - cut[1]) if cut else (0, 0)
    start, end = Fraction(head), duration - tail
    spare = max(Fraction(0), end - start - LONGEST_S) / 2
    return Span(start + spare, end - spare, whole=not (head or tail or spare))


class DrawnFilms:
    """The drawn sequences of a collection, from feature files.

    Args:
        files: as `cached_features` makes them.
        backwards: every film once more, played backwards, as a film of its own: so order has to be told.
    """

    def __init__(self, files: Sequence[Path], backwards: bool = False) -> None:
        if not files:
            raise ParameterError("There is no film to train on; give a folder with readable films.")
        self.films = [_read(file) for file in files]
        """Of each film the draws (T, D), float16, the film as it is first."""
        if backwards:
            self.films += [[draw[::-1] for draw in film] for film in self.films]

    def __len__(self) -> int:
        return len(self.films)


def padded(sequences: Sequence[NDArray[np.floating]]) -> tuple[Tensor, Tensor]:
    """Sequences (T_b, D) as one float32 tensor (B, T, D) with zeros at the end, and a mask (B, T), True on frames."""
    longest = max(len(sequence) for sequence in sequences)
    values = torch.zeros(len(sequences), longest, sequences[0].shape[1])
    mask = torch.zeros(len(sequences), longest, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        values[row, : len(sequence)] = torch.from_numpy(np.array(sequence, np.float32))
        mask[row, : len(sequence)] = True
    return values, mask


def _key(path: Path, span: Span, encoder: ImageEncoder, config: SequenceConfig) -> str:
    told = f"{encoder.name} {encoder.version} {config.draws} {config.web_copies} {config.seed} {CACHE_VERSION}"
    return _content_digest(path, told + ("" if span.whole else f" {span.start_s} {span.end_s}"))


def _content_digest(path: Path, told: str) -> str:
    """40 hexadecimal digits that stand for the content of a file and for what is ``told`` of its use."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return hashlib.sha256(digest.digest() + told.encode()).hexdigest()[:40]


def _master(path: Path, span: Span, limits: MediaLimits) -> Pictures:
    """All frames that any draw may need: at least 2 a second and 24 in all, (T, 320, 320, 3)."""
    with VideoReader(path, size=(_MASTER_SIDE_PX, _MASTER_SIDE_PX), limits=limits) as reader:
        rate = sampling_rate(span.end_s - span.start_s, 2.0, 24)
        return np.stack([frame.pixels for frame in reader.frames_at_rate(rate, span.start_s, span.end_s)])


def _sequences(
    frames: Pictures, behind: Pictures, duration_s: float, how: tuple[SequenceConfig, str, ImageEncoder]
) -> list[NDArray[np.float16]]:
    config, key, encoder = how
    random = np.random.default_rng([config.seed, int(key[:12], 16)])
    augmenter, made = Augmenter(config.web_copies), []
    for draw in range(config.draws):
        window = draw_window(duration_s, random)
        if draw == 0:
            length_s = min(duration_s, SEQUENCE_S)
            count = max(MIN_FRAMES, round(length_s))
            window = Window(0.0, length_s / count, count)
        times_s = window.start_s + window.step_s * np.arange(window.frames)
        chosen = frames[np.clip((times_s / max(duration_s, 1e-6) * len(frames)).astype(int), 0, len(frames) - 1)]
        change = augmenter.draw(random)
        pictures = (change if draw else Augmentation()).apply(chosen, behind, encoder.size)
        made.append(encoder.encode(pictures).astype(np.float16))
    return made


def _write_features(target: Path, sequences: list[NDArray[np.float16]]) -> None:
    arrays: dict[str, Any] = {f"draw_{index}": sequence for index, sequence in enumerate(sequences)}
    with written_whole(target) as part, part.open("wb") as stream:
        np.savez(stream, **arrays)


def _read(file: Path) -> list[NDArray[np.float16]]:
    with np.load(file) as arrays:
        return [arrays[f"draw_{index}"] for index in range(len(arrays.files))]
