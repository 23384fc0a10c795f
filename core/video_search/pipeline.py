"""From files to similar videos: describe, add, find, recommend, mark, remove (METHODS 3, "Search" and "Service")."""

import copy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from core.encoders.image import ImageEncoder, image_encoder
from core.errors import (
    MediaError,
    ParameterError,
    RecordNotFoundError,
    WeightsError,
    WeightsNotFoundError,
)
from core.media import thumbnail
from core.runtime import Profile, Progress, current_profile, part_of, silent
from core.store import Library, Match, Record, open_library, other_versions, read_setting, write_setting
from core.video_search.alignment import offset_s
from core.video_search.config import SearchConfig
from core.video_search.descriptor import Descriptor, MeanDescriptor, TrainedDescriptor, Vectors, baseline
from core.video_search.reading import content_id, frame_features
from core.video_search.results import Mode, Recommendation, Relation, SearchAnswer, SimilarVideo
from core.video_search.rows import (
    VideoDescription,
    described,
    read_starts,
    read_track,
    segment_ids,
    segment_records,
    track_attributes,
    versions,
    video_of,
)
from core.video_search.shelf import Shelf

ENCODERS: dict[Profile, str] = {"embedded": "efficientnet_lite0_layout", "hub": "siglip"}
MODEL_SETTING = "video_search_model"
"""Names the fine-tuned model that a library is searched with; empty or missing: the profile's own."""
QUERY_SEGMENTS = 8
"""Segments of a long query that are looked up, evenly spread; of a short one there is only one."""


@dataclass(frozen=True)
class AddReport:
    """What became of one file that was to be added."""

    path: str
    status: Literal["added", "known", "failed"]
    """``known``: the library holds this content already; it is filed under the tags that are new, too."""
    id: str = ""
    error: str = ""


@dataclass(frozen=True)
class SearchRequest:
    """What is asked of a library.

    Raises:
        ParameterError: a value is out of its range.
    """

    top: int = 5
    tags: tuple[str, ...] = ()
    """Only videos that have all of these."""
    mode: Mode = "cosine"
    rerank: bool = True
    """In hash mode: order the nearest codes by the cosine of their vectors."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ParameterError(f"top is {self.top}; ask for at least one.")
        if self.mode not in ("cosine", "hash"):
            raise ParameterError(f"mode is {self.mode!r}; choose cosine or hash.")


class VideoSearch:
    """One library of videos and the model that describes them.

    Args:
        address: folder or object-storage address of the library.
        encoder: looks at frames; the profile's own when None.
        config: how videos are sampled, and where fine-tuned models lie.
        shelf: where copies of the videos are kept; None leaves them where they are.
        create: make the library when there is none.

    Raises:
        LibraryNotFoundError: there is none, and ``create`` is False.
        WeightsError: weights are missing or wrong, or those of the library's fine-tuned model.
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
        self.model = read_setting(address, MODEL_SETTING) or ""
        self.use(load_descriptor(self.encoder, self.config, self.model), address, create)

    def use(self, descriptor: Descriptor, address: str | Path, create: bool = True) -> None:
        """Describe and search with another model from now on."""
        videos, segments = versions(descriptor)
        self.library: Library = open_library(address, "videos", videos, create=create)
        self.segments: Library = open_library(address, "segments", segments)
        self.descriptor = descriptor

    def with_model(self, model: str) -> "VideoSearch":
        """The same library described by another model, beside this one.

        Raises:
            WeightsError: the model is missing or damaged.
        """
        other = copy.copy(self)
        other.model = model
        other.use(load_descriptor(self.encoder, self.config, model), self.library.address)
        return other

    def describe(self, path: Path, progress: Progress = silent) -> VideoDescription:
        """Describe a file by its segments and frames.

        Raises:
            MediaError: the file is missing, no video, damaged, over the limits, or outside the allowed folders.
            CancelledError: ``progress`` says so.
        """
        return described(path, *frame_features(path, self.encoder, self.config, progress), self.descriptor)

    def add_each(
        self, paths: Sequence[Path], tags: Sequence[str] = (), progress: Progress = silent
    ) -> Iterator[AddReport]:
        """Add files one by one, reporting each when it is safely stored; a bad file does not stop the rest.

        Raises:
            CancelledError: ``progress`` says so; what was reported before is in the library.
            StoreError: the library cannot be written.
        """
        self.follow_the_library()
        for index, path in enumerate(paths):
            part = part_of(progress, index, len(paths))
            part(0, 1, path.name)
            try:
                yield self._add_one(path, tuple(tags), part)
            except MediaError as error:
                yield AddReport(str(path), "failed", error=str(error))
        progress(len(paths), len(paths), "added")

    def prepare(
        self, path: Path, tags: tuple[str, ...] = (), progress: Progress = silent
    ) -> tuple[Record, VideoDescription] | str:
        """What is to be stored of a file; or its id, when the library holds this content already.

        Raises:
            MediaError: the file cannot be described.
            CancelledError: ``progress`` says so.
        """
        video_id = content_id(path, self.config.limits)
        if video_id in self.library:
            return video_id
        description = self.describe(path, progress)
        picture = thumbnail(path, limits=self.config.limits)
        record = Record(video_id, str(path.resolve()), path.stem, description.duration_s, tags, picture)
        return record, description

    def keep(self, record: Record, description: VideoDescription) -> None:
        """Store a described video: its segments first, so that a video that is there is whole."""
        self.segments.add(segment_records(record, description, self.descriptor.codes))
        attributes = {**record.attributes, **track_attributes(description)}
        self.library.add([replace(record, vector=description.descriptor, attributes=attributes)])

    def tag(self, video_id: str, tags: Sequence[str]) -> None:
        """File a video of the library under further tags; one that is gone meanwhile stays gone."""
        record = self._still_there([video_id]).get(video_id) if tags else None
        if record is None:
            return
        more = tuple(dict.fromkeys((*record.tags, *tags)))
        if more != record.tags:
            segments = self.segments.fetch(segment_ids(video_id, len(read_starts(record))))
            self.segments.add([replace(segment, tags=more) for segment in segments])
            self.library.add([replace(record, tags=more)])

    def find(self, path: Path, request: SearchRequest | None = None, progress: Progress = silent) -> SearchAnswer:
        """The videos of the library most similar to a file, best first.

        Raises:
            MediaError: the file cannot be described.
        """
        self.follow_the_library()
        not_similar = self.not_similar(content_id(path, self.config.limits))
        return self.search(self.describe(path, progress), request or SearchRequest(), not_similar)

    def search(
        self, query: VideoDescription, request: SearchRequest, without: frozenset[str] = frozenset()
    ) -> SearchAnswer:
        """The videos most similar to a described one; those whose ids are in ``without`` are left out."""
        chosen = query.descriptors[_spread(len(query.descriptors), QUERY_SEGMENTS)]
        started = time.perf_counter()
        nearest = self._nearest(chosen, request, without)
        seconds = time.perf_counter() - started
        usual = baseline(self.descriptor, query.descriptor)
        found = [self._similar(record, similarity, usual) for record, similarity in nearest]
        located = [
            replace(v, offset_s=offset_s(query.track, read_track(r))) for v, (r, _) in zip(found, nearest, strict=True)
        ]
        return SearchAnswer(tuple(located), request.mode, seconds)

    def recommend(self, video_id: str, request: SearchRequest | None = None) -> Recommendation:
        """What to show beside a video of the library: the nearest, no copies of it, and no two copies of one film.

        When none of them is of the same topic they are returned all the same, and ``fallback`` says so.

        Raises:
            RecordNotFoundError: the library has no such video.
        """
        self.follow_the_library()
        request = request or SearchRequest()
        (record,) = self.library.fetch([video_id])
        query = self._described_again(record)
        wider = replace(request, top=4 * request.top + 1)
        answer = self.search(query, wider, self.not_similar(video_id) | {video_id})
        apart = self._without_copies([v for v in answer.results if v.relation != "copy"])
        shown = apart[: request.top]
        told = "Nothing in the library is of the same topic; these are the nearest."
        fallback = told if shown and not any(video.relation for video in shown) else ""
        return Recommendation(tuple(replace(v, why=_why(v, record)) for v in shown), fallback)

    def not_similar(self, query_id: str) -> frozenset[str]:
        """The ids that were marked as not similar to a video."""
        return frozenset(json.loads(read_setting(self.library.address, f"not_similar {query_id}") or "[]"))

    def mark_not_similar(self, query_id: str, video_id: str, marked: bool = True) -> None:
        """Never again show ``video_id`` for this query, nor the other way round; or take the mark back."""
        for one, other in ((query_id, video_id), (video_id, query_id)):
            ids = self.not_similar(one) | {other} if marked else self.not_similar(one) - {other}
            write_setting(self.library.address, f"not_similar {one}", json.dumps(sorted(ids)))

    def of_other_encoders(self) -> int:
        """How many videos the library holds that another model described; they are not searched."""
        return sum(other_versions(self.library.address, "videos", than=self.library.encoder).values())

    def remove(self, ids: Sequence[str]) -> int:
        """Take videos out of the library and off the shelf; return how many there were.

        Raises:
            RecordNotFoundError: an id is not there; it is named, and nothing is removed.
        """
        self.follow_the_library()
        records = self.library.fetch(ids)
        removed = self.library.remove(ids)
        self.segments.remove([s for r in records for s in segment_ids(r.id, len(read_starts(r)))])
        if self.shelf is not None:
            for video_id in ids:
                self.shelf.discard(video_id)
        return removed

    def follow_the_library(self) -> None:
        """Change to the model that the library was switched to meanwhile, by whomever."""
        model = read_setting(self.library.address, MODEL_SETTING) or ""
        if model != self.model:
            self.use(load_descriptor(self.encoder, self.config, model), self.library.address)
            self.model = model

    def _add_one(self, path: Path, tags: tuple[str, ...], progress: Progress) -> AddReport:
        prepared = self.prepare(path, tags, progress)
        if isinstance(prepared, str):
            self.tag(prepared, tags)
            return AddReport(str(path), "known", prepared)
        record, description = prepared
        if self.shelf is not None:
            kept = self.shelf.keep(path, record.id)
            self.shelf.playable(kept, record.id)
            record = replace(record, path=str(kept))
        self.keep(record, description)
        return AddReport(str(path), "added", record.id)

    def _nearest(self, vectors: Vectors, request: SearchRequest, without: frozenset[str]) -> list[tuple[Record, float]]:
        """The ``top`` videos with their highest similarity to any of the vectors (N, D), best first."""
        wanted, asked = request.top + len(without), 2 * (request.top + len(without))
        while True:
            best: dict[str, float] = {}
            exhausted = True
            for vector in vectors:
                matches = self._segments_near(vector, asked, request)
                exhausted &= len(matches) < asked
                for match in matches:
                    video_id = video_of(match.record.id)[0]
                    best[video_id] = max(best.get(video_id, -1.0), match.similarity)
            if exhausted or len(best) >= wanted:
                break
            asked *= 4
        ranked = sorted((-similarity, video_id) for video_id, similarity in best.items() if video_id not in without)
        there = self._still_there([video_id for _, video_id in ranked[: 2 * request.top]])
        return [(there[id], -negative) for negative, id in ranked if id in there][: request.top]

    def _segments_near(self, vector: Vectors, count: int, request: SearchRequest) -> list[Match]:
        if request.mode == "cosine":
            return self.segments.find(vector, count, request.tags)
        (code,) = self.descriptor.codes.encode(vector[None])
        return self.segments.find_codes(code, count, request.tags, vector if request.rerank else None)

    def _still_there(self, ids: Sequence[str]) -> dict[str, Record]:
        """The rows of those videos that are there; a killed addition may have left segments without a video."""
        try:
            records = self.library.fetch(ids)
        except RecordNotFoundError:
            records = self.library.fetch([id for id in ids if id in self.library])
        return {record.id: record for record in records}

    def _similar(self, record: Record, similarity: float, usual: float) -> SimilarVideo:
        score, limits = similarity - usual, self.descriptor.thresholds
        relation: Relation = "copy" if score >= limits.copy else "topic" if score >= limits.topic else ""
        facts = (record.id, record.path, record.title, record.duration_s)
        return SimilarVideo(*facts, similarity, score, relation, record.tags)

    def _described_again(self, record: Record) -> VideoDescription:
        """The description of a video of the library, from its rows."""
        starts = read_starts(record)
        segments = self.segments.fetch(segment_ids(record.id, len(starts)))
        vectors = np.stack([s.vector for s in segments if s.vector is not None])
        return VideoDescription(Path(record.path), record.duration_s, tuple(starts), vectors, read_track(record))

    def _without_copies(self, videos: Sequence[SimilarVideo]) -> list[SimilarVideo]:
        """Of videos that are near copies of one another only the first."""
        records = self.library.fetch([video.id for video in videos])
        limit, kept, vectors = (
            self.descriptor.thresholds.copy,
            [],
            np.empty((0, self.descriptor.dimensions), np.float32),
        )
        for video, record in zip(videos, records, strict=True):
            assert record.vector is not None
            usual = baseline(self.descriptor, record.vector)
            if not len(vectors) or float((vectors @ record.vector).max()) - usual < limit:
                kept.append(video)
                vectors = np.vstack([vectors, record.vector])
        return kept


def load_descriptor(encoder: ImageEncoder, config: SearchConfig, model: str = "") -> Descriptor:
    """The model of a library: a fine-tuned one by name, else the embedded one, else, for other encoders, the mean.

    Raises:
        WeightsError: it is missing or damaged, or was fine-tuned on another image encoder.
    """
    if model and not (config.models / f"{model}.safetensors").exists():
        raise WeightsNotFoundError(
            f"The library is searched with the fine-tuned model {model}, and {config.models} does not hold it; "
            f"copy {model}.safetensors there."
        )
    descriptor = TrainedDescriptor(config.models / f"{model}.safetensors" if model else None)
    if descriptor.encoder == f"{encoder.name} {encoder.version}":
        return descriptor
    if model:
        raise WeightsError(
            f"The model {model} was trained on {descriptor.encoder}, not on {encoder.name} {encoder.version}; "
            "search with that encoder."
        )
    return MeanDescriptor(encoder)


def load_model(config: SearchConfig, model: str = "") -> tuple[ImageEncoder, Descriptor]:
    """The profile's image encoder, and the model that `load_descriptor` gives for it.

    Raises:
        WeightsError: see `load_descriptor`.
    """
    encoder = image_encoder(ENCODERS[current_profile()])
    return encoder, load_descriptor(encoder, config, model)


def _why(video: SimilarVideo, query: Record) -> str:
    likeness = "The same topic" if video.relation else "The nearest there is"
    told = f"{likeness}: {video.score:+.2f} against what unrelated films reach"
    shared = [tag for tag in video.tags if tag in query.tags]
    return f"{told}; tagged {', '.join(shared)} as well." if shared else f"{told}."


def _spread(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers 0 .. count - 1, evenly spread, first and last among them.

    >>> _spread(3, 8), _spread(9, 3)
    ([0, 1, 2], [0, 4, 8])
    """
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))})
