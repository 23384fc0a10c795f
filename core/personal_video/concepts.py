"""The personal database: words, their cut-out subjects, and what networks say of them (METHODS 2, built ahead).

At one address, in a folder or on object storage, lie tables of concepts: the words (one row each; this row is what
makes a concept exist), the cut-outs (one row for each), and for every encoder what it makes of a concept. The last can
always be made again from the cut-outs, so another encoder, or the hub profile, goes on with the same database.

A process may be killed at any moment: cut-outs are written first, the word's row last, each in one commit. Cut-outs
that a kill leaves without an owner are swept up at the next change of a folder; on object storage they stay, unseen.
"""

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import cast
from uuid import uuid4

import numpy as np
import safetensors.numpy
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from core.encoders.image import ImageEncoder, image_encoder
from core.errors import CoreError, ParameterError, StoreError
from core.personal_video.config import ConceptConfig
from core.personal_video.cutting import Cutout, SubjectCutter, cutout_from_png
from core.personal_video.prompt import checked_word, nearest_words, word_key
from core.store import EncoderVersion, Library, Record, open_library, other_versions

Vector = NDArray[np.float32]
Arrays = Mapping[str, NDArray[np.generic]]
Sample = str | Path | Cutout
"""A picture's file, or a subject that was cut out already, as `ConceptDatabase.preview` does."""

WORDS = EncoderVersion("words", "1", 1)
CUTOUTS = EncoderVersion("cutouts", "1", 1)
_NO_VECTOR = np.ones(1, np.float32)
_LOCK_NAME, _PATIENCE_S = ".concepts.lock", 60
_NEAREST = 5


@dataclass(frozen=True)
class Concept:
    """A word of the database."""

    word: str
    id: str
    """Stays the same when the word is changed."""
    cutout_ids: tuple[str, ...]
    """Of its pictures, in the order they were added."""
    thumbnail: bytes = field(repr=False)
    """A small PNG with transparency, of the first cut-out."""
    added_at: datetime

    @property
    def looks(self) -> str:
        """Names the set of pictures; what was computed from another set is stale."""
        return hashlib.sha256(" ".join(self.cutout_ids).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Preview:
    """What would be kept of some pictures: the cut-outs, and a sentence for each picture without a subject."""

    cutouts: tuple[Cutout, ...]
    refused: tuple[str, ...] = ()


class ConceptDatabase:
    """Concepts at one address; may be shared by threads, and a folder by several processes.

    On object storage only one process should change it: there nothing keeps two from adding one word at the same
    moment (the concept added first is then the one that is seen).

    Args:
        address: a folder or ``s3://bucket/prefix``; made when there is none.
        encoder: makes reference features; by default that of the profile, loaded when it is first needed.
        config: how sample pictures are looked at and kept.

    Raises:
        ParameterError, StoreError: see `core.store.open_library`.
    """

    def __init__(
        self, address: str | Path, encoder: ImageEncoder | None = None, config: ConceptConfig | None = None
    ) -> None:
        self._config = config or ConceptConfig()
        self._encoder = encoder
        self._words = open_library(address, "concepts", WORDS)
        self._cutouts = open_library(address, "concepts", CUTOUTS)
        self._changing = threading.RLock()

    @property
    def address(self) -> str:
        """The folder, or the address on object storage."""
        return self._words.address

    @cached_property
    def encoder(self) -> ImageEncoder:
        """What makes reference features."""
        return self._encoder or image_encoder()

    def concepts(self) -> list[Concept]:
        """All concepts with their thumbnails, the newest first."""
        return sorted(self._by_key().values(), key=lambda concept: concept.added_at, reverse=True)

    def words(self) -> list[str]:
        """The words of all concepts, the newest first."""
        return [concept.word for concept in self.concepts()]

    def concept(self, word: str) -> Concept:
        """The concept of a word, however it is written.

        Raises:
            ParameterError: there is none; the message names those there are, the most alike first.
        """
        return _found(word, self._by_key())

    def cutouts(self, word: str) -> list[Cutout]:
        """The subjects that were cut out for a word, in the order they were added.

        Raises:
            ParameterError: there is no such concept.
            MediaDamagedError: what was kept cannot be read.
        """
        rows = self._cutouts.fetch(self.concept(word).cutout_ids)
        return [replace(cutout_from_png(row.thumbnail, row.title), source=row.title) for row in rows]

    def preview(self, pictures: Sequence[str | Path]) -> Preview:
        """Cut out the subjects of pictures and keep nothing; what is seen can be given to `add`.

        Pictures that cannot be read are told of, not raised.
        """
        cutouts: list[Cutout] = []
        refused = []
        with SubjectCutter(self._config) as cutter:
            for picture in pictures:
                try:
                    cutouts += cutter.cut_file(picture)
                except CoreError as error:
                    refused.append(str(error))
        return Preview(tuple(cutouts), tuple(refused))

    def add(self, word: str, pictures: Sequence[Sample]) -> Concept:
        """Add a concept with one or several sample pictures of it; whole or not at all.

        Raises:
            ParameterError: the word is none, is taken, or there are no pictures or too many.
            MediaError: a picture cannot be read or shows no subject.
        """
        return self._keep(checked_word(word), None, self._cut(pictures))

    def add_pictures(self, word: str, pictures: Sequence[Sample]) -> Concept:
        """Give a concept further sample pictures; those it has already are passed over. Raises as `add`."""
        return self._keep(word, word, self._cut(pictures))

    def rename(self, word: str, new_word: str) -> Concept:
        """Give a concept another word; its pictures and features stay.

        Raises:
            ParameterError: there is no such concept, or the new word is none or is taken by another.
        """
        new_word = checked_word(new_word)
        with self._change() as known:
            renamed = replace(_found(word, known), word=new_word)
            _check_free(new_word, known, but=renamed.id)
            self._words.add([_word_row(renamed)])
        return renamed

    def remove(self, word: str) -> Concept:
        """Remove a concept with its pictures and all features, for good; return what it was.

        Raises:
            ParameterError: there is no such concept.
        """
        with self._change() as known:
            concept = _found(word, known)
            self._words.remove([concept.id])
            self._cutouts.remove(concept.cutout_ids)
            for version in other_versions(self.address, "concepts"):
                if version not in (WORDS, CUTOUTS):
                    self._library(version).remove([concept.id])
        return concept

    def reference(self, word: str) -> Vector:
        """The reference feature: the mean direction of the image encoder's vectors of the cut-outs, (D,), length 1.

        Made when it is first asked for, and again when pictures were added.

        Raises:
            ParameterError: there is no such concept.
        """
        concept = self.concept(word)
        library = self._library(EncoderVersion(self.encoder.name, self.encoder.version, self.encoder.dimensions))
        kept = _fresh(library, concept)
        if kept is not None:
            return cast(Vector, kept.vector)
        vector = described(self.cutouts(word), self.encoder)
        library.add([_feature_row(concept, vector)])
        return vector

    def keep_details(self, word: str, encoder: EncoderVersion, arrays: Arrays) -> None:
        """Keep what a personalised extraction network says of a concept, in place of what it said before.

        Args:
            word: of the concept.
            encoder: name and version of the network; ``dimensions`` is 1, as there is no vector to search by.
            arrays: by name, of any shape; they come back bit by bit.

        Raises:
            ParameterError: there is no such concept.
        """
        content = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        row = _feature_row(self.concept(word), _NO_VECTOR, arrays=base64.b64encode(content).decode())
        self._library(encoder).add([row])

    def details(self, word: str, encoder: EncoderVersion) -> dict[str, NDArray[np.generic]] | None:
        """What `keep_details` kept; None when nothing was, or pictures were added since.

        Raises:
            ParameterError: there is no such concept.
        """
        row = _fresh(self._library(encoder), self.concept(word))
        return None if row is None else safetensors.numpy.load(base64.b64decode(row.attributes["arrays"]))

    def cut_many(self, concepts: Mapping[str, Sequence[Cutout]], replacing: bool = False) -> list[Concept]:
        """Add many concepts at once, by word; all of them or none.

        Args:
            concepts: the cut-outs by word.
            replacing: give concepts whose word is taken the new pictures instead of the old ones.

        Raises:
            ParameterError: a word is none, occurs twice, or is taken; or there are no pictures or too many.
        """
        words = {checked_word(word): list(cutouts) for word, cutouts in concepts.items()}
        if len({word_key(word) for word in words}) < len(concepts):
            raise ParameterError("One word occurs twice among the concepts to add; rename one of them.")
        with self._change() as known:
            added, rows, stale = [], [], []
            for word, cutouts in words.items():
                taken = known.get(word_key(word))
                if not replacing:
                    _check_free(word, known)
                concept, new_rows = self._planned(word, taken and replace(taken, cutout_ids=()), cutouts)
                stale += [id for id in (taken.cutout_ids if taken else ()) if id not in concept.cutout_ids]
                added.append(concept)
                rows += new_rows
            self._cutouts.add(rows)
            self._words.add(map(_word_row, added))
            self._cutouts.remove(stale)
        return added

    def _cut(self, pictures: Sequence[Sample]) -> list[Cutout]:
        """The subjects of samples, in order."""
        cutouts: list[Cutout] = []
        with SubjectCutter(self._config) as cutter:
            for picture in pictures:
                cutouts += [picture] if isinstance(picture, Cutout) else cutter.cut_file(picture)
        return cutouts

    def _keep(self, word: str, old_word: str | None, cutouts: Sequence[Cutout]) -> Concept:
        """Write a new concept, or further pictures of an old one."""
        with self._change() as known:
            old = None if old_word is None else _found(old_word, known)
            if old is None:
                _check_free(word, known)
            concept, rows = self._planned(word, old, cutouts)
            self._cutouts.add(rows)
            self._words.add([_word_row(concept)])
        return concept

    def _planned(self, word: str, old: Concept | None, cutouts: Sequence[Cutout]) -> tuple[Concept, list[Record]]:
        """A concept with some more cut-outs, and the rows of those."""
        if not cutouts:
            raise ParameterError(f"The concept {word} has no picture; give at least one that shows it.")
        id = old.id if old else uuid4().hex
        rows = {row.id: row for row in (_cutout_row(id, cutout) for cutout in cutouts)}
        ids = tuple(dict.fromkeys([*(old.cutout_ids if old else ()), *rows]))
        if len(ids) > self._config.max_pictures:
            raise ParameterError(
                f"The concept {word} would have {len(ids)} pictures, more than {self._config.max_pictures}; give fewer."
            )
        if old and old.cutout_ids:
            return replace(old, cutout_ids=ids), list(rows.values())
        thumbnail = cutouts[0].smaller(self._config.thumbnail_side_px).png()
        when = old.added_at if old else datetime.now(UTC)
        return Concept(old.word if old else word, id, ids, thumbnail, when), list(rows.values())

    def _by_key(self) -> dict[str, Concept]:
        """The concepts by `word_key`; of two with one word the older."""
        return {word_key(concept.word): concept for concept in map(_concept, self._words.records())}

    def _library(self, version: EncoderVersion) -> Library:
        return open_library(self.address, "concepts", version)

    @contextmanager
    def _change(self) -> Iterator[dict[str, Concept]]:
        """Hold the database against other writers, sweep up after a kill, and give its concepts by key."""
        with self._changing, _only_writer(self.address) as alone:
            known = self._by_key()
            if alone:
                owned = {id for concept in known.values() for id in concept.cutout_ids}
                if ownerless := self._cutouts.ids() - owned:
                    self._cutouts.remove(sorted(ownerless))
            yield known


def described(cutouts: Sequence[Cutout], encoder: ImageEncoder) -> Vector:
    """The mean direction of an encoder's vectors of cut-outs, each in the middle of a white square: (D,), length 1."""
    vectors = encoder.encode(np.stack([cutout.square(encoder.size) for cutout in cutouts])).astype(np.float64)
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)).mean(0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)


@contextmanager
def _only_writer(address: str) -> Iterator[bool]:
    """Hold the lock of a folder; True when it keeps other processes away, False on object storage."""
    if "://" in address:
        yield False
        return
    try:
        lock = FileLock(Path(address, _LOCK_NAME), timeout=_PATIENCE_S)
        lock.acquire()
    except Timeout as error:
        raise StoreError(f"Another process keeps changing the concepts in {address}; try again later.") from error
    except OSError as error:
        raise StoreError(
            f"The concepts in {address} cannot be changed ({error.strerror}); check its permissions."
        ) from error
    try:
        yield True
    finally:
        lock.release()


def _found(word: str, known: Mapping[str, Concept]) -> Concept:
    concept = known.get(word_key(checked_word(word)))
    if concept is not None:
        return concept
    if not known:
        raise ParameterError(f"There is no concept {word}, and the database is empty; add one with some pictures.")
    nearest = nearest_words(word, [other.word for other in known.values()])
    more = f" and {len(nearest) - _NEAREST} more" if len(nearest) > _NEAREST else ""
    raise ParameterError(f"There is no concept {word}; choose one of {', '.join(nearest[:_NEAREST])}{more}.")


def _check_free(word: str, known: Mapping[str, Concept], but: str = "") -> None:
    taken = known.get(word_key(word))
    if taken is not None and taken.id != but:
        raise ParameterError(f"There is a concept {taken.word} already; choose another word, or remove it first.")


def _cutout_row(concept_id: str, cutout: Cutout) -> Record:
    content = hashlib.sha256(repr(cutout.pixels.shape).encode() + cutout.pixels.tobytes()).hexdigest()
    name = cutout.source.encode("utf-8", "replace").decode()
    return Record(f"{concept_id}.{content[:32]}", name, name, 0.0, thumbnail=cutout.png(), vector=_NO_VECTOR)


def _word_row(concept: Concept) -> Record:
    return Record(
        concept.id,
        "",
        concept.word,
        0.0,
        thumbnail=concept.thumbnail,
        added_at=concept.added_at,
        vector=_NO_VECTOR,
        attributes={"cutouts": " ".join(concept.cutout_ids)},
    )


def _concept(row: Record) -> Concept:
    return Concept(row.title, row.id, tuple(row.attributes["cutouts"].split()), row.thumbnail, row.added_at)


def _feature_row(concept: Concept, vector: Vector, **attributes: str) -> Record:
    return Record(concept.id, "", concept.word, 0.0, vector=vector, attributes={"looks": concept.looks, **attributes})


def _fresh(library: Library, concept: Concept) -> Record | None:
    """What a library keeps of a concept as it looks now."""
    if concept.id not in library:
        return None
    (row,) = library.fetch([concept.id])
    return row if row.attributes["looks"] == concept.looks else None
