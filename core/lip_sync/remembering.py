"""What is kept between runs: the faces of a film by its content, and the mouths of a job that was stopped.

A folder may be deleted at any time; what was in it is computed again.
"""

import json
import zipfile
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.digest import key_of, sha256_of
from core.lip_sync.faces import Picture
from core.lip_sync.tracks import FaceTrack, FaceTracks, FollowConfig
from core.media.whole_file import written_whole

_VERSION = 1
_CHUNK = 200
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_TRACK_ARRAYS = ("boxes", "landmarks", "seen")
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)
"""What numpy and json raise at a file that is missing, cut short, or of another kind."""


def remembered_tracks(
    folder: Path, path: str | Path, config: FollowConfig, follow: Callable[[], FaceTracks]
) -> FaceTracks:
    """The faces of a film, followed once for the same content and settings."""
    file = folder / f"faces-{key_of(_VERSION, sha256_of(path), config)}.npz"
    try:
        return read_tracks(file)
    except _UNREADABLE:
        found = follow()
        write_tracks(file, found)
        return found


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
    """The mouths of a job in a folder, in files of about 200, each written whole; what is there is gone on with.

    Args:
        folder: of the job; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._files = folder, list[Path]()
        self._waiting: list[tuple[int, int, bytes]] = []
        self.complete = 0
        """Of the pictures before this one all mouths are written."""
        found = sorted(folder.glob("mouths-*.npz"))
        for file in found:
            try:
                with np.load(file) as kept:
                    self.complete = int(kept["complete"])
            except _UNREADABLE:
                break
            self._files.append(file)
        for file in found[len(self._files) :]:
            file.unlink()

    @property
    def full(self) -> bool:
        """Whether there is enough for a file."""
        return len(self._waiting) >= _CHUNK

    def add(self, frame: int, face: int, mouth: Picture | None) -> None:
        """Keep the mouth (128, 128, 3) of a face in a picture; None: it is covered."""
        coded = b"" if mouth is None else cv2.imencode(".jpg", mouth[..., ::-1], _JPEG)[1].tobytes()
        self._waiting.append((frame, face, coded))

    def flush(self, complete: int) -> None:
        """Write what is waiting, after which all mouths of the pictures before ``complete`` are there."""
        if complete <= self.complete and not self._waiting:
            return
        frames, faces, lengths = (
            np.array([part(entry) for entry in self._waiting], np.int64)
            for part in (lambda entry: entry[0], lambda entry: entry[1], lambda entry: len(entry[2]))
        )
        coded = np.frombuffer(b"".join(coded for _, _, coded in self._waiting), np.uint8)
        file = self._folder / f"mouths-{len(self._files):06}.npz"
        with written_whole(file) as part:
            np.savez(part, complete=complete, frames=frames, faces=faces, lengths=lengths, coded=coded)
        self._files.append(file)
        self.complete, self._waiting = complete, []

    def in_order(self) -> "KeptMouths":
        """What is written, to be asked for picture by picture."""
        return KeptMouths(self._files)

    def frames_of(self, face: int) -> NDArray[np.int64]:
        """The numbers of the pictures for which there is a mouth of a face, ascending."""
        found = [np.zeros(0, np.int64)]
        for file in self._files:
            with np.load(file) as kept:
                found.append(kept["frames"][(kept["faces"] == face) & (kept["lengths"] > 0)])
        return np.unique(np.concatenate(found))


class KeptMouths:
    """Mouths in the order of the pictures; it holds no more than were made at once.

    Args:
        files: of a `MouthStore`, in order.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._files, self._complete = iter(list(files)), 0
        self._held: dict[int, dict[int, bytes]] = {}

    def at(self, frame: int) -> dict[int, Picture | None]:
        """By the number of its face each mouth (128, 128, 3) in a picture, or None where it is covered.

        Args:
            frame: a later one than that of the last call; those between are passed over.
        """
        while self._complete <= frame and (file := next(self._files, None)) is not None:
            self._load(file)
        found = self._held.pop(frame, {})
        self._held = {later: mouths for later, mouths in self._held.items() if later > frame}
        return {face: _picture(coded) if coded else None for face, coded in found.items()}

    def _load(self, file: Path) -> None:
        with np.load(file) as kept:
            frames, faces, lengths, coded = (kept[name] for name in ("frames", "faces", "lengths", "coded"))
            self._complete = int(kept["complete"])
        ends = np.cumsum(lengths)
        for frame, face, begin, end in zip(frames, faces, ends - lengths, ends, strict=True):
            self._held.setdefault(int(frame), {})[int(face)] = coded[begin:end].tobytes()


def _picture(coded: bytes) -> Picture:
    decoded = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, np.uint8)[..., ::-1])
