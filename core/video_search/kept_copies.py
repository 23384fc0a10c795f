"""Edited copies that are made once and kept, for measuring on the same ones again and again."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from core.digest import sha256_of
from core.media.whole_file import written_whole
from core.video_search.copies import Copy, make_copy


def content_key(path: Path) -> str:
    """A short name of a film that holds wherever it lies: the beginning of its content's sha256."""
    return sha256_of(path)[:16]


def kept_copy(source: Path, transform: str, cache: Path, others: Sequence[Path] = ()) -> Copy:
    """An edited copy of a film from a cache, made when the cache has none.

    It lies at ``CACHE/<content key>/<transform>.mp4``; the content also draws the strengths. How it was made is written
    beside it when the copy is whole, so a copy that was cut short by a kill is made again.

    Args:
        source: see `make_copy`.
        transform: see `make_copy`.
        cache: folder of the copies, made if need be.
        others: see `make_copy`; a kept copy whose background is none of them has none.

    Raises:
        ParameterError: see `make_copy`.
        MediaError: see `make_copy`.
    """
    key = content_key(source)
    film, note = (cache / key / f"{transform}.{suffix}" for suffix in ("mp4", "json"))
    if not note.exists():
        film.parent.mkdir(parents=True, exist_ok=True)
        copy = make_copy(source, transform, film, zlib.crc32(key.encode()), others)
        told = {
            "source": source.name,
            "strengths": copy.strengths,
            "shows_s": [copy.start_s, copy.end_s],
            "background": copy.background.name if copy.background else None,
        }
        with written_whole(note) as part:
            part.write_text(json.dumps(told, indent=1), encoding="utf-8")
    told = json.loads(note.read_text(encoding="utf-8"))
    background = next((path for path in others if path.name == told["background"]), None)
    start_s, end_s = told["shows_s"]
    return Copy(film, source, transform, tuple(told["strengths"]), start_s, end_s, background)
