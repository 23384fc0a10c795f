"""What is kept between runs: the faces of a film by its content, and the mouths of a job that was stopped.

A folder may be deleted at any time; what was in it is computed again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.lip_sync.faces import Picture
from core.lip_sync.tracks import FaceTrack, FaceTracks, FollowConfig
from core.media.whole_file import written_whole

_VERSION = 1
_CHUNK = 200
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_TRACK_ARRAYS = ("boxes", "landmarks", "seen")


def content_hash(path: str | Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def key_of(*facts: object) -> str:
    """A name for a file that stands for some facts."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def remembered_tracks(
    folder: Path, path: str | Path, config: FollowConfig, follow: Callable[[], FaceTracks]
) -> FaceTracks:
    """The faces of a film, followed once for the same content and settings."""
    file = folder / f"faces-{key_of(_VERSION, content_hash(path), config)}.npz"
    if not file.exists():
        found = follow()
        write_tracks(file, found)
        return found
    return read_tracks(file)


def write_tracks(file: Path, faces: FaceTracks) -> None:
    """Write faces to one file, whole."""
    arrays: dict[str, NDArray] = {}
    for track in faces.tracks:
        arrays |= {f"{track.number}-{name}": getattr(track, name) for name in _TRACK_ARRAYS}
        if track.thumbnail is not None:
            arrays[f"{track.number}-thumbnail"] = track.thumbnail
    said = {
        "tracks": [[track.number, track.start, track.drawn] for track in faces.tracks],
        "frame_count": faces.frame_count,
        "cuts": faces.cuts,
        "times_s": [str(time_s) for time_s in faces.times_s],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as part:
        np.savez(part, said=np.array(json.dumps(said)), **arrays)  # type: ignore[arg-type]


def read_tracks(file: Path) -> FaceTracks:
    """The faces that `write_tracks` wrote."""
    with np.load(file) as kept:
        said = json.loads(str(kept["said"]))
        tracks = [
            FaceTrack(
                number,
                start,
                **{name: kept[f"{number}-{name}"] for name in _TRACK_ARRAYS},
                thumbnail=kept[f"{number}-thumbnail"] if f"{number}-thumbnail" in kept.files else None,
                drawn=drawn,
            )
            for number, start, drawn in said["tracks"]
        ]
    times_s = tuple(Fraction(time_s) for time_s in said["times_s"])
    return FaceTracks(tuple(tracks), said["frame_count"], tuple(said["cuts"]), times_s)


class MouthStore:
    """The mouths of one face in a folder, in files of 200, each written whole; what is there is gone on with.

    Args:
        folder: of the job.
        track: number of the face.
    """

    def __init__(self, folder: Path, track: int) -> None:
        self._folder, self._track = folder, track
        folder.mkdir(parents=True, exist_ok=True)
        self._waiting: list[tuple[int, bytes]] = []
        self._files = sorted(folder.glob(f"mouths-{track}-*.npz"))
        self.last_frame = self._last()
        """The number of the last picture whose mouth is kept; -1 where there is none."""

    def add(self, frame: int, mouth: Picture) -> None:
        """Keep the mouth (128, 128, 3) of the next picture that has one."""
        self._waiting.append((frame, cv2.imencode(".jpg", mouth[..., ::-1], _JPEG)[1].tobytes()))
        if len(self._waiting) == _CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if not self._waiting:
            return
        file = self._folder / f"mouths-{self._track}-{len(self._files):06}.npz"
        frames = np.array([frame for frame, _ in self._waiting])
        lengths = np.array([len(coded) for _, coded in self._waiting])
        joined = np.frombuffer(b"".join(coded for _, coded in self._waiting), np.uint8)
        with written_whole(file) as part:
            np.savez(part, frames=frames, lengths=lengths, coded=joined)
        self._files.append(file)
        self.last_frame, self._waiting = int(frames[-1]), []

    def mouths(self) -> Iterator[tuple[int, Picture]]:
        """All that is written, in order: the number of the picture, and its mouth (128, 128, 3)."""
        for file in self._files:
            with np.load(file) as kept:
                frames, lengths, coded = kept["frames"], kept["lengths"], kept["coded"]
            ends = np.cumsum(lengths)
            for frame, begin, end in zip(frames, ends - lengths, ends, strict=True):
                picture = np.asarray(cv2.imdecode(coded[begin:end], cv2.IMREAD_COLOR), np.uint8)
                yield int(frame), np.ascontiguousarray(picture[..., ::-1])

    def _last(self) -> int:
        if not self._files:
            return -1
        with np.load(self._files[-1]) as kept:
            return int(kept["frames"][-1])
