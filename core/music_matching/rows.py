"""What is kept of a track: one row with its vector, its features, its licence and its credit."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from core.music_matching.features import TrackFeatures, Vectors, packed, unpacked
from core.music_matching.model import TwoTowers
from core.music_matching.moments import TrackCurves
from core.store import Record

WINDOW_S = 20.0
NO_LICENCE = "not stated"


@dataclass(frozen=True)
class StoredTrack:
    """A track of the library, ready to be ranked.

    Attributes:
        record: its row, without the bytes of its features.
        features: what was heard in it.
        curves: what decides on moments.
        vector: (D,) of the whole track.
    """

    record: Record
    features: TrackFeatures
    curves: TrackCurves
    vector: Vectors


@dataclass(frozen=True)
class Credits:
    """To whom a track belongs, and under which terms; empty where the file itself is to be asked."""

    licence: str = ""
    credit: str = ""


def window_vectors(features: TrackFeatures, model: TwoTowers) -> Vectors:
    """What was learned (P, D) of the parts of about `WINDOW_S` seconds that begin with each patch, without words."""
    step = features.patch_step_s
    starts = [index * step for index in range(len(features.patches))]
    vectors = model.embed_music([features.modalities(start, start + WINDOW_S) for start in starts])
    return vectors[:, : model.config.dimensions]


def track_record(id: str, path: Path, facts: Mapping[str, str], features: TrackFeatures, model: TwoTowers) -> Record:
    """The row of a track.

    Args:
        id: sha256 of its content.
        path: where it lies.
        facts: title, licence, credit; further ones are kept too.
        features: what was heard in it.
        model: gives it its vector.
    """
    (vector,) = model.embed_music([features.modalities()])
    windows = window_vectors(features, model)
    attributes = {
        **{name: value for name, value in facts.items() if name != "title"},
        "tempo_bpm": f"{features.rhythm.tempo_bpm:.1f}",
        "voice_share": f"{features.voice_share:.3f}",
        "keywords": ", ".join(keyword.word for keyword in features.keywords),
        "features": base64.b64encode(packed(features)).decode(),
        "windows": base64.b64encode(windows.astype(np.float16).tobytes()).decode(),
    }
    return Record(id, str(path), facts["title"], features.duration_s, vector=vector, attributes=attributes)


def stored_track(record: Record) -> StoredTrack:
    """A track from its row."""
    vector = cast(Vectors, record.vector)
    features = cast(TrackFeatures, unpacked(base64.b64decode(record.attributes["features"]), TrackFeatures))
    windows = np.frombuffer(base64.b64decode(record.attributes["windows"]), np.float16).astype(np.float32)
    curves = TrackCurves(
        features.duration_s, features.rhythm, windows.reshape(len(features.patches), -1), features.patch_step_s
    )
    return StoredTrack(record, features, curves, vector)
