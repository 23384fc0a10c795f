"""What is known of a face before its mouths are made, from a few pictures spread over its track."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.lip_sync.config import SyncConfig
from core.lip_sync.covering import LOOKS, Look, Uncovered
from core.lip_sync.mouths import Reference, calmest
from core.lip_sync.tracks import FaceTrack, FaceTracks
from core.media import VideoReader


@dataclass(frozen=True)
class Known:
    """What is known of a face.

    Attributes:
        reference: its looks, from a picture in which its mouth is uncovered and nearly shut.
        uncovered: how its mouth looks when nothing is before it; None where somebody drew it.
    """

    reference: Reference
    uncovered: Uncovered | None


@dataclass(frozen=True)
class _Sample:
    frame: int
    openness: float
    reference: Reference
    look: Look


def known_faces(film: Path, faces: FaceTracks, tracks: Sequence[FaceTrack], config: SyncConfig) -> dict[int, Known]:
    """Look at some pictures of each track, in one pass over the film, and hold those of few tracks at a time.

    Raises:
        MediaError: the film cannot be read.
    """
    wanted = sorted((frame, number) for number, frames in _spread(tracks).items() for frame in frames)
    left = {number: len(frames) for number, frames in _spread(tracks).items()}
    by_number = {track.number: track for track in tracks}
    samples: dict[int, list[_Sample]] = {number: [] for number in left}
    found: dict[int, Known] = {}
    with VideoReader(film, limits=config.limits) as reader:
        pictures = reader.frames_at([faces.times_s[frame] for frame, _ in wanted])
        for (frame, number), picture in zip(wanted, pictures, strict=True):
            face = by_number[number].face_at(frame)
            assert face is not None
            reference = Reference.of(picture.pixels, face, config.finish.padding)
            samples[number].append(_Sample(frame, face.openness, reference, Look.of(picture.pixels, face)))
            left[number] -= 1
            if not left[number]:
                found[number] = _known(by_number[number], samples.pop(number))
    return found


def _spread(tracks: Sequence[FaceTrack]) -> dict[int, list[int]]:
    """For each track the numbers of up to nine pictures in which its face was found."""
    spread = {}
    for track in tracks:
        seen = np.flatnonzero(track.seen)
        chosen = np.unique(np.linspace(0, len(seen) - 1, LOOKS).round().astype(int))
        spread[track.number] = [track.start + int(n) for n in seen[chosen]]
    return spread


def _known(track: FaceTrack, samples: Sequence[_Sample]) -> Known:
    uncovered = Uncovered([sample.look for sample in samples])
    kept = list(range(len(samples)) if track.drawn else uncovered.kept)
    calm = kept[calmest([samples[n].openness for n in kept])]
    return Known(samples[calm].reference, None if track.drawn else uncovered)
