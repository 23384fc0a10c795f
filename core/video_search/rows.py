"""What is kept of a video: one row among the videos, and one for each of its segments among the segments."""

import base64
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.store import EncoderVersion, Record
from core.video_search.alignment import FrameTrack
from core.video_search.descriptor import Descriptor, Vectors, unit_rows
from core.video_search.hashing import HashCodes

SEGMENT_FRAMES = 32
"""Frames of a segment, a second apart: the 32 seconds of METHODS 3."""
HOP_FRAMES = 8
"""From the beginning of one segment to the next."""
TRACK_BITS = 512
"""Bits kept of every frame, for laying films over one another."""


@dataclass(frozen=True)
class VideoDescription:
    """What the pipeline says of one file."""

    path: Path
    duration_s: float
    starts_s: tuple[float, ...]
    """Where each segment begins."""
    descriptors: Vectors = field(repr=False)
    """(N, D), unit length: one row a segment."""
    track: FrameTrack = field(repr=False)

    @property
    def descriptor(self) -> Vectors:
        """(D,): the mean direction of the segments."""
        return unit_rows(self.descriptors.mean(0)[None])[0]


def segment_starts(frames: int) -> list[int]:
    """First frames of the segments of a film: one for all of a short film, else overlapping ones, the last at the end.

    >>> segment_starts(20), segment_starts(50)
    ([0], [0, 8, 16, 18])
    """
    last = max(0, frames - SEGMENT_FRAMES)
    return sorted({*range(0, last + 1, HOP_FRAMES), last})


def described(path: Path, duration_s: float, features: Vectors, descriptor: Descriptor) -> VideoDescription:
    """Describe a film by the features (T, D) of its frames, evenly spaced over ``duration_s``."""
    starts = segment_starts(len(features))
    vectors = np.stack([descriptor.describe(features[start : start + SEGMENT_FRAMES]) for start in starts])
    step_s = max(duration_s, 1e-3) / len(features)
    frames = signs(track_bits(descriptor.describe_frames(features)))
    return VideoDescription(
        path, duration_s, tuple(start * step_s for start in starts), vectors, FrameTrack(frames, step_s)
    )


def segment_ids(video_id: str, count: int) -> list[str]:
    """The ids of a video's segments, in order."""
    return [f"{video_id}:{index}" for index in range(count)]


def video_of(segment_id: str) -> tuple[str, int]:
    """The video that a segment is of, and the segment's number."""
    video_id, _, index = segment_id.rpartition(":")
    return video_id, int(index)


def segment_records(video: Record, description: VideoDescription, codes: HashCodes) -> list[Record]:
    """The rows of a video's segments; they carry the video's tags, so that a search can be narrowed."""
    hashed = codes.encode(description.descriptors)
    return [
        Record(id, video.path, video.title, video.duration_s, video.tags, vector=vector, code=code)
        for id, vector, code in zip(segment_ids(video.id, len(hashed)), description.descriptors, hashed, strict=True)
    ]


def track_attributes(description: VideoDescription) -> dict[str, str]:
    """Segments and frames of a video as attributes of its row; `read_track` and `read_starts` read them."""
    packed = np.packbits(description.track.vectors > 0, axis=1)
    return {
        "frames": base64.b85encode(packed.tobytes()).decode(),
        "frame_count": str(len(packed)),
        "frame_step_s": repr(description.track.step_s),
        "segment_starts_s": " ".join(map(repr, description.starts_s)),
    }


def read_track(record: Record) -> FrameTrack:
    """The frames of a video, from its row."""
    packed = np.frombuffer(base64.b85decode(record.attributes["frames"]), np.uint8)
    rows = packed.reshape(int(record.attributes["frame_count"]), -1)
    return FrameTrack(signs(rows), float(record.attributes["frame_step_s"]))


def read_starts(record: Record) -> list[float]:
    """Where the segments of a video begin, in seconds, from its row."""
    return [float(start) for start in record.attributes["segment_starts_s"].split()]


def track_bits(frames: Vectors) -> NDArray[np.uint8]:
    """Codes (T, TRACK_BITS / 8) of the vectors of frames (T, D)."""
    rotated = HashCodes(np.zeros(frames.shape[1], np.float32)).rotate(frames)
    return np.packbits(rotated[:, :TRACK_BITS] > 0, axis=1)


def signs(codes: NDArray[np.uint8]) -> Vectors:
    """Codes (T, B) as unit vectors (T, 8 B) of which every number is plus or minus the same."""
    bits = np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1
    return (bits / np.sqrt(bits.shape[1])).astype(np.float32)


def versions(descriptor: Descriptor) -> tuple[EncoderVersion, EncoderVersion]:
    """Under which version the videos and the segments of a descriptor are kept; only segments have codes."""
    plain = EncoderVersion(descriptor.name, descriptor.version, descriptor.dimensions)
    return plain, EncoderVersion(descriptor.name, descriptor.version, descriptor.dimensions, descriptor.codes.bits)
