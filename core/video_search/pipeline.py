"""From files to similar videos: describe, add, find, recommend, list, remove.

First form (METHODS 3, step "Search", before the trained encoder): the descriptor of a video is the mean direction of
frozen image features over its frames, and similarity is the cosine of two descriptors.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.encoders.image import ImageEncoder, image_encoder
from core.errors import ClipTooShortError, MediaDamagedError, MediaError, MediaLimitError
from core.media import Frame, MediaInfo, MediaLimits, VideoReader, checked_path, missing_bytes, thumbnail
from core.runtime import Profile, Progress, current_profile, part_of, silent
from core.store import EncoderVersion, Library, Match, Record, open_library, other_versions
from core.video_search.config import SearchConfig
from core.video_search.features import mean_descriptor, sampling_rate
from core.video_search.shelf import Shelf

DESCRIPTOR_VERSION = "1"
ENCODERS: dict[Profile, str] = {"embedded": "efficientnet_lite0_layout", "hub": "siglip"}
MIN_SIDE_PX = 16


@dataclass(frozen=True)
class VideoDescription:
    """What the pipeline says of one file."""

    path: Path
    duration_s: float
    descriptor: NDArray[np.float32] = field(repr=False)
    """(D,), unit length."""


@dataclass(frozen=True)
class SimilarVideo:
    """One answer: a video of the library, and how similar it is to the query."""

    id: str
    path: str
    title: str
    duration_s: float
    similarity: float
    """Cosine of the two descriptors, -1 to 1; 1 for the same pictures."""
    tags: tuple[str, ...] = ()
    offset_s: float | None = None
    """Where in this video the query begins; None, since a mean over all frames cannot tell."""


@dataclass(frozen=True)
class AddReport:
    """What became of one file that was to be added."""

    path: str
    status: Literal["added", "known", "failed"]
    """``known``: the library holds this content already."""
    id: str = ""
    error: str = ""


class VideoSearch:
    """One library of videos and the encoder that describes them.

    Args:
        address: folder or object-storage address of the library.
        encoder: describes frames; the profile's own when None.
        config: how videos are sampled.
        shelf: where copies of the videos are kept; None leaves them where they are.
        create: make the library when there is none.

    Raises:
        LibraryNotFoundError: there is none, and ``create`` is False.
        WeightsError: the encoder's weights are missing or wrong.
    """

    def __init__(
        self,
        address: str | Path,
        encoder: ImageEncoder | None = None,
        config: SearchConfig | None = None,
        shelf: Shelf | None = None,
        create: bool = True,
    ) -> None:
        self.config = config or SearchConfig()
        self.encoder = encoder or image_encoder(ENCODERS[current_profile()])
        self.shelf = shelf
        version = EncoderVersion(
            f"mean_{self.encoder.name}", f"{self.encoder.version}-{DESCRIPTOR_VERSION}", self.encoder.dimensions
        )
        self.library: Library = open_library(address, "videos", version, create=create)

    def describe_frames(self, frames: Iterable[Frame]) -> NDArray[np.float32]:
        """The descriptor (D,) of frames of ``encoder.size`` pixels a side, read once, a batch at a time."""
        return mean_descriptor(
            self.encoder.encode(np.stack([frame.pixels for frame in batch]))
            for batch in _batches(frames, self.config.batch_frames)
        )

    def describe(self, path: Path, progress: Progress = silent) -> VideoDescription:
        """The descriptor of a file: frames at the configured rate, the whole picture at the encoder's size.

        Raises:
            MediaError: the file is missing, no video, damaged, over the limits, or outside the allowed folders.
            CancelledError: ``progress`` says so.
        """
        side = self.encoder.size
        with VideoReader(path, size=(side, side), limits=self.config.limits) as reader:
            _check_comparable(reader.info)
            duration = reader.info.duration_s
            rate = sampling_rate(duration, self.config.frame_rate, self.config.min_frames)
            frames = _counted(reader.frames_at_rate(rate), max(1, round(duration * rate)), path.name, progress)
            descriptor = self.describe_frames(frames)
            _check_undamaged(reader)
            return VideoDescription(path, float(duration), descriptor)

    def add_each(
        self, paths: Sequence[Path], tags: Sequence[str] = (), progress: Progress = silent
    ) -> Iterator[AddReport]:
        """Add files one by one, reporting each when it is safely stored; a bad file does not stop the rest.

        Raises:
            CancelledError: ``progress`` says so; what was reported before is in the library.
            StoreError: the library cannot be written.
        """
        for index, path in enumerate(paths):
            part = part_of(progress, index, len(paths))
            part(0, 1, path.name)
            try:
                yield self._add_one(path, tuple(tags), part)
            except MediaError as error:
                yield AddReport(str(path), "failed", error=str(error))
        progress(len(paths), len(paths), "added")

    def find(
        self, path: Path, top: int = 5, tags: Sequence[str] = (), progress: Progress = silent
    ) -> list[SimilarVideo]:
        """The ``top`` videos of the library most similar to a file, best first.

        Raises:
            MediaError: the file cannot be described.
            ParameterError: ``top`` is not positive.
        """
        found = self.library.find(self.describe(path, progress).descriptor, top, tags)
        return [_similar(match) for match in found]

    def recommend(self, video_id: str, top: int = 5, tags: Sequence[str] = ()) -> list[SimilarVideo]:
        """The ``top`` videos most similar to one of the library, itself left out, best first.

        Raises:
            RecordNotFoundError: the library has no such video.
        """
        (record,) = self.library.fetch([video_id])
        assert record.vector is not None
        found = self.library.find(record.vector, top + 1, tags)
        return [_similar(match) for match in found if match.record.id != video_id][:top]

    def of_other_encoders(self) -> int:
        """How many videos the library holds that another encoder described; they are not searched."""
        return sum(other_versions(self.library.address, "videos", than=self.library.encoder).values())

    def remove(self, ids: Sequence[str]) -> int:
        """Take videos out of the library and off the shelf; return how many there were.

        Raises:
            RecordNotFoundError: an id is not there; it is named, and nothing is removed.
        """
        self.library.fetch(ids)
        removed = self.library.remove(ids)
        if self.shelf is not None:
            for video_id in ids:
                self.shelf.discard(video_id)
        return removed

    def _add_one(self, path: Path, tags: tuple[str, ...], progress: Progress) -> AddReport:
        video_id = content_id(path, self.config.limits)
        if video_id in self.library:
            return AddReport(str(path), "known", video_id)
        description = self.describe(path, progress)
        picture = thumbnail(path, limits=self.config.limits)
        kept = self.shelf.keep(path, video_id) if self.shelf else path.resolve()
        if self.shelf:
            self.shelf.playable(kept, video_id)
        self.library.add(
            [
                Record(
                    id=video_id,
                    path=str(kept),
                    title=path.stem,
                    duration_s=description.duration_s,
                    tags=tags,
                    thumbnail=picture,
                    vector=description.descriptor,
                )
            ]
        )
        return AddReport(str(path), "added", video_id)


def content_id(path: Path, limits: MediaLimits) -> str:
    """sha256 of the bytes of a file, in hexadecimal; the id of its row.

    Raises:
        MediaError: the file is missing or outside the allowed folders.
    """
    with checked_path(path, limits).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_comparable(info: MediaInfo) -> None:
    name = info.path.name
    if info.is_still:
        raise ClipTooShortError(f"{name} is a still picture; give a film or an animated picture.")
    if min(info.width, info.height) < MIN_SIDE_PX:
        raise MediaLimitError(
            f"{name} is {info.width} × {info.height} pixels, too small to compare; "
            f"give a film of at least {MIN_SIDE_PX} × {MIN_SIDE_PX}."
        )
    if missing := missing_bytes(info.path):
        raise MediaDamagedError(f"{name} is cut short by {missing} bytes; copy or export it again.")


def _check_undamaged(reader: VideoReader) -> None:
    if reader.damaged_packets:
        raise MediaDamagedError(
            f"{reader.info.path.name} is damaged: {reader.damaged_packets} of its packets cannot be decoded; "
            "copy or export it again."
        )


def _similar(match: Match) -> SimilarVideo:
    record = match.record
    return SimilarVideo(record.id, record.path, record.title, record.duration_s, match.similarity, record.tags)


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _counted(frames: Iterable[Frame], total: int, what: str, progress: Progress) -> Iterator[Frame]:
    """Pass frames on and report each; this is where a job notices that it is to stop."""
    for done, frame in enumerate(frames, 1):
        progress(min(done, total), total, what)
        yield frame
