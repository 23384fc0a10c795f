"""Concepts in one file, to be kept or to be given away: a zip with a list and the cut-outs as PNGs.

What networks made of the cut-outs stays behind; the receiving database makes it again with its own.
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import MediaDamagedError, MediaLimitError, MediaOpenError, ParameterError
from core.media import MediaLimits, checked_path, limits_from_environment
from core.media.whole_file import written_whole
from core.personal_video.concepts import Concept, ConceptDatabase
from core.personal_video.cutting import Cutout, cutout_from_png

FORMAT, VERSION = "showreel concepts", 1
MOST_CONCEPTS = 2000
MOST_BYTES = 2**30
"""Of all cut-outs together; they are all in memory while they are checked."""
_LIST = "concepts.json"
_MOST_LIST_BYTES = 2**24
_UNREADABLE = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError)


def export_concepts(database: ConceptDatabase, out: str | Path, words: Sequence[str] | None = None) -> Path:
    """Write concepts into one file, beside it first and then renamed; the same concepts give the same bytes.

    Args:
        database: where they lie.
        out: the file, usually ``….concepts.zip``.
        words: which; all by default.

    Raises:
        ParameterError: there is no such concept or none at all, or no such folder.
    """
    chosen = list(dict.fromkeys(database.concept(word) for word in (database.words() if words is None else words)))
    if not chosen:
        raise ParameterError("There is no concept to export; add one with some pictures first.")
    with written_whole(out) as part, zipfile.ZipFile(part, "w") as archive:
        entries = []
        for number, concept in enumerate(sorted(chosen, key=lambda concept: concept.word)):
            pictures = []
            for index, cutout in enumerate(database.cutouts(concept.word)):
                name, png = f"{number:04}/{index:03}.png", cutout.png()
                archive.writestr(zipfile.ZipInfo(name), png)
                pictures.append({"file": name, "sha256": hashlib.sha256(png).hexdigest(), "source": cutout.source})
            entries.append({"word": concept.word, "pictures": pictures})
        listing = {"format": FORMAT, "version": VERSION, "concepts": entries}
        text = json.dumps(listing, ensure_ascii=False, indent=1)
        archive.writestr(zipfile.ZipInfo(_LIST), text, zipfile.ZIP_DEFLATED)
    return Path(out)


def import_concepts(
    database: ConceptDatabase, path: str | Path, replacing: bool = False, limits: MediaLimits | None = None
) -> list[Concept]:
    """Add the concepts of a file that `export_concepts` wrote; all of them or none.

    Args:
        database: gets them.
        path: the file.
        replacing: give concepts whose word is taken the file's pictures; otherwise such a word is an error.
        limits: which folders may be read; by default as the environment says.

    Raises:
        MediaOpenError: it is no such file, or is of a later version.
        MediaDamagedError: its content is not what was written.
        MediaLimitError: it holds more than may be kept.
        ParameterError: a word is taken, or is none.
    """
    return database.cut_many(read_concepts(path, limits), replacing)


def read_concepts(path: str | Path, limits: MediaLimits | None = None) -> dict[str, list[Cutout]]:
    """The cut-outs in a file of `export_concepts` by word, checked. Raises as `import_concepts`."""
    real = checked_path(path, limits or limits_from_environment())
    try:
        with zipfile.ZipFile(real) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if sizes.get(_LIST, 0) > _MOST_LIST_BYTES or sum(sizes.values()) > MOST_BYTES:
                raise MediaLimitError(
                    f"{real.name} holds more than {MOST_BYTES >> 20} MB; export fewer concepts at once."
                )
            entries = _entries(archive.read(_LIST), real.name)
            return {word: _cutouts(archive, pictures, real.name) for word, pictures in entries.items()}
    except KeyError as error:
        raise MediaOpenError(f"{real.name} is not a file of concepts; choose one that was exported here.") from error
    except zipfile.BadZipFile as error:
        raise MediaDamagedError(f"{real.name} is damaged or no file of concepts; export it again.") from error
    except _UNREADABLE as error:
        raise MediaDamagedError(f"{real.name} cannot be read ({error}); export it again.") from error


def _entries(listing: bytes, name: str) -> dict[str, list[dict[str, str]]]:
    """The pictures of the list by word."""
    try:
        told: Any = json.loads(listing)
        if told["format"] != FORMAT or told["version"] > VERSION:
            raise MediaOpenError(f"{name} was made by another program or a later version; update, or export it again.")
        entries = {str(entry["word"]): list(entry["pictures"]) for entry in told["concepts"]}
        pictures = [picture for some in entries.values() for picture in some]
        complete = all(isinstance(picture[key], str) for picture in pictures for key in ("file", "sha256", "source"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MediaDamagedError(f"The list in {name} is damaged; export it again.") from error
    if not complete or not entries or len(entries) != len(told["concepts"]):
        raise MediaDamagedError(f"The list in {name} is not complete; export it again.")
    if len(entries) > MOST_CONCEPTS:
        raise MediaLimitError(f"{name} holds {len(entries)} concepts, more than {MOST_CONCEPTS}; export fewer at once.")
    return entries


def _cutouts(archive: zipfile.ZipFile, pictures: list[dict[str, str]], name: str) -> list[Cutout]:
    """The cut-outs of one concept."""
    cutouts = []
    for picture in pictures:
        try:
            png = archive.read(picture["file"])
        except KeyError as error:
            raise MediaDamagedError(f"{name} lacks {picture['file']}; export it again.") from error
        if hashlib.sha256(png).hexdigest() != picture["sha256"]:
            raise MediaDamagedError(f"{picture['file']} in {name} is not what was exported; export it again.")
        cutouts.append(replace(cutout_from_png(png, picture["file"]), source=picture["source"]))
    return cutouts
