"""A library of many videos measured: exact search against the index, the codes, and the codes ordered by cosine.

    python -m tests.benchmarks.video_search_scale [--features FOLDER ...] [--rows 100000] [--folder FOLDER]

Prints two Markdown tables. The folders hold features of augmented sequences of real films, as `core.video_search train`
keeps them in ``OUT/features``; `spliced` makes the rows and the queries of them with the trained model. Without a
folder, made-up vectors of few strong directions take their place (`made_up`). Every tenth row carries the tag that is
searched with.

The exact scan is a product of the float32 matrix, in memory, with the query (numpy, all cores), and the choice of the
best five; it fetches no rows, which all other methods do. Beside it stands the store's own exact search, which reads
the vectors from the files, and takes part in every fifth query only. The methods take turns at every query, so that
what else the machine does strikes all alike. The codes' times include the hashing of the query.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import torch
from numpy.typing import NDArray

from core.store import EncoderVersion, Library, Match, Record, open_library
from core.store.lance_rows import table_name
from core.video_search.data import DrawnFilms, padded
from core.video_search.descriptor import TrainedDescriptor, unit_rows
from core.video_search.hashing import HashCodes
from tests.benchmarks.video_search import table

Vectors = NDArray[np.float32]
Hash = Callable[[Vectors], NDArray[np.uint8]]
TOP, TAG, TAG_EVERY, BATCH = 5, "tenth", 10, 5000
STORED = "the store's exact search"


def spliced(films: DrawnFilms, model: TrainedDescriptor, rows: int, seed: int) -> Iterator[Vectors]:
    """The trained model's vectors of many films, batch by batch, each spliced from two stretches of real ones.

    A stretch is 4 to 16 frames in a row of one augmented sequence, so two films share pictures as copies, recuts and
    excerpts of one another do: each film of the collection is in about ``2 * rows / films`` of them, and changed in as
    many ways as were drawn.

    Args:
        films: augmented sequences of at least two films.
        model: describes them.
        rows: how many to make.
        seed: of the choices.

    Yields:
        (at most 5000, D), of length 1.
    """
    random = np.random.default_rng(seed)

    def stretch(film: int) -> NDArray[np.float16]:
        drawn = films.films[film][random.integers(len(films.films[film]))]
        length = min(len(drawn), int(random.integers(4, 17)))
        start = int(random.integers(len(drawn) - length + 1))
        return drawn[start : start + length]

    for start in range(0, rows, BATCH):
        parts = []
        for begin in range(start, min(start + BATCH, rows), 250):
            pairs = [random.choice(len(films), 2, replace=False) for _ in range(min(250, rows - begin))]
            with torch.inference_mode():
                z = model.network(*padded([np.concatenate([stretch(a), stretch(b)]) for a, b in pairs]))
            parts.append(unit_rows(z.numpy()))
        yield np.concatenate(parts)


def made_up(dimensions: int, rows: int, seed: int) -> Iterator[Vectors]:
    """A stand-in without films: 800 clips in 200 directions of falling strength, each moved about, batch by batch."""
    clips, random = np.random.default_rng(0), np.random.default_rng(seed)
    directions = np.linalg.qr(clips.standard_normal((dimensions, 200)))[0].T * np.arange(1, 201)[:, None] ** -0.7
    centres = clips.standard_normal((800, 200))
    for start in range(0, rows, BATCH):
        count = min(BATCH, rows - start)
        places = centres[random.integers(0, len(centres), count)] + random.normal(0, 0.35, (count, 200))
        vectors = places @ directions + 0.3 * directions[0] + random.normal(0, 0.003, (count, dimensions))
        yield unit_rows(vectors)


def record(number: int, vector: Vectors, code: NDArray[np.uint8]) -> Record:
    """A row with 5 kB of thumbnail, as videos have."""
    return Record(
        id=f"{number:064x}",
        path=f"/films/{number}.mp4",
        title=f"film {number}",
        duration_s=32.0,
        tags=(TAG,) if number % TAG_EVERY == 0 else ("other",),
        thumbnail=np.random.default_rng(number).bytes(5000),
        vector=vector,
        code=code,
    )


def fill(library: Library, matrix: Vectors, hashes: Hash) -> float:
    """Add all rows; return the seconds, tidying up and the making of indexes included."""
    start = time.perf_counter()
    for first in range(0, len(matrix), BATCH):
        some = matrix[first : first + BATCH]
        library.add(
            record(first + step, vector, code)
            for step, (vector, code) in enumerate(zip(some, hashes(some), strict=True))
        )
    return time.perf_counter() - start


def numbers(matches: list[Match]) -> list[int]:
    """Which rows the matches are."""
    return [int(match.record.id, 16) for match in matches]


def methods(library: Library, matrix: Vectors, hashes: Hash) -> dict[str, Callable[[Vectors], list[int]]]:
    """What is measured: from a query (D,) to the numbers of the best rows; the exact scan first."""
    raw: Any = lancedb.connect(library.address).open_table(table_name(library.kind, library.encoder))
    tagged = np.arange(0, len(matrix), TAG_EVERY)
    few = matrix[tagged]

    def scan(query: Vectors, rows: Vectors = matrix) -> list[int]:
        cosines = rows @ query
        best = np.argpartition(-cosines, TOP)[:TOP]
        return best[np.argsort(-cosines[best])].tolist()

    def stored_scan(query: Vectors) -> list[int]:
        search = raw.search(query, vector_column_name="vector").distance_type("dot").bypass_vector_index()
        return [int(id, 16) for id in search.select(["id", "_distance"]).limit(TOP).to_arrow()["id"].to_pylist()]

    return {
        "exact scan (numpy, in memory)": scan,
        STORED: stored_scan,
        "exact scan, tag": lambda query: tagged[scan(query, few)].tolist(),
        "cosine": lambda query: numbers(library.find(query, TOP)),
        "cosine, tag": lambda query: numbers(library.find(query, TOP, [TAG])),
        "codes": lambda query: numbers(library.find_codes(hashes(query[None])[0], TOP)),
        "codes, tag": lambda query: numbers(library.find_codes(hashes(query[None])[0], TOP, [TAG])),
        "codes, by cosine": lambda query: numbers(library.find_codes(hashes(query[None])[0], TOP, (), query)),
        "codes, by cosine, tag": lambda query: numbers(library.find_codes(hashes(query[None])[0], TOP, [TAG], query)),
    }


def search_table(library: Library, matrix: Vectors, hashes: Hash, queries: Vectors) -> str:
    """Milliseconds and recall@5 of all methods, taking turns."""
    ways = methods(library, matrix, hashes)
    for way in ways.values():
        way(queries[0])
    times: dict[str, list[float]] = {name: [] for name in ways}
    hits: dict[str, list[float]] = {name: [] for name in ways}
    for turn, query in enumerate(queries[1:]):
        found = {}
        for name, way in ways.items():
            if name == STORED and turn % 5:
                continue
            start = time.perf_counter()
            found[name] = way(query)
            times[name].append(1000 * (time.perf_counter() - start))
        for name, rows in found.items():
            right = found["exact scan, tag" if name.endswith("tag") else "exact scan (numpy, in memory)"]
            hits[name].append(len(set(rows) & set(right)) / len(right))
    medians = {name: statistics.median(some) for name, some in times.items()}
    in_memory, stored = list(medians.values())[:2]
    lines = [
        [
            name,
            f"{median:.1f}",
            f"{np.quantile(times[name], 0.95):.1f}",
            f"1/{in_memory / median:.1f}",
            f"1/{stored / median:.0f}",
            f"{np.mean(hits[name]):.4f}",
        ]
        for name, median in medians.items()
    ]
    return table(["search", "median ms", "p95 ms", "of the scan", "of the store's", f"recall@{TOP}"], lines)


def change_lines(library: Library, hashes: Hash, query: Vectors) -> list[list[str]]:
    """Add, change and remove a row: the seconds it takes, and whether the next search of either kind shows it."""
    code = hashes(query[None])[0]
    other = -query
    one = record(10**9, query, code)
    changes: dict[str, tuple[Callable[[], object], bool]] = {
        "add a row": (lambda: library.add([one]), True),
        "change a row": (lambda: library.add([replace(one, vector=other, code=hashes(other[None])[0])]), False),
        "change it back": (lambda: library.add([one]), True),
        "remove a row": (lambda: library.remove([one.id]), False),
    }
    lines = []
    for name, (change, there) in changes.items():
        seconds = timed(change)
        seen: list[list[Match]] = []
        cosine = timed(lambda seen=seen: seen.append(library.find(query, 1)))  # type: ignore[misc]
        codes = timed(lambda seen=seen: seen.append(library.find_codes(code, 1)))  # type: ignore[misc]
        right = all((one.id in {match.record.id for match in matches}) == there for matches in seen)
        after = f"next search by cosine {1000 * cosine:.0f} ms, by code {1000 * codes:.0f} ms"
        lines.append([name, f"{1000 * seconds:.0f} ms; {'seen at once' if right else 'NOT SEEN'}; {after}"])
    return lines


def timed(job: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def megabytes(folder: Path) -> str:
    """The size of all files under a folder."""
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"


def growing(folders: list[Path], dimensions: int) -> tuple[Callable[[int, int], Iterator[Vectors]], Vectors]:
    """What makes so many vectors from a seed, and the mean (D,) that is subtracted before they are hashed."""
    if not folders:
        return partial(made_up, dimensions), next(made_up(dimensions, BATCH, 2)).mean(axis=0)
    films = DrawnFilms([file for folder in folders for file in sorted(folder.glob("*.npz"))])
    model = TrainedDescriptor()
    return partial(spliced, films, model), model.codes.mean


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, nargs="+", default=[], help="folders of features of real films")
    parser.add_argument("--rows", type=int, default=100_000, help="size of the library (default: 100000)")
    parser.add_argument("--dimensions", type=int, default=4096, help="of made-up vectors (default: 4096)")
    parser.add_argument("--queries", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--folder", type=Path, help="where the library is made and deleted again")
    arguments = parser.parse_args()
    grow, mean = growing(arguments.features, arguments.dimensions)
    matrix = np.empty((arguments.rows, len(mean)), np.float32)
    for number, some in enumerate(grow(arguments.rows, 0)):
        matrix[number * BATCH :][: len(some)] = some
    queries = np.concatenate(list(grow(arguments.queries + 1, 1)))
    hashing = HashCodes(mean)
    encoder = EncoderVersion("scale", "1", matrix.shape[1], hashing.bits)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        library = open_library(Path(folder) / "library", "videos", encoder)
        filled = fill(library, matrix, hashing.encode)
        tidied = timed(library.optimise)
        raw = lancedb.connect(library.address).open_table(table_name(library.kind, encoder))
        (config,) = raw.list_indices()
        print(search_table(library, matrix, hashing.encode, queries), end="\n\n")
        lines = change_lines(library, hashing.encode, queries[0])
        raw.drop_index(config.name)
        files = Path(library.address, f"{raw.name}.lance")
        lines += [
            [f"add all {arguments.rows} rows, {BATCH} at a time", f"{filled:.0f} s, tidying and indexing included"],
            ["tidy up after that", f"{tidied:.1f} s"],
            ["hash a query", f"{1000 * timed(lambda: hashing.encode(queries[:1])):.1f} ms"],
            ["make the index anew", f"{timed(library.optimise):.1f} s"],
            ["on disk: rows", megabytes(files / "data")],
            ["on disk: indexes, old ones included", megabytes(files / "_indices")],
            ["in memory: the exact scan's matrix", f"{matrix.nbytes / 1e6:.0f} MB"],
            ["in memory: the codes", f"{arguments.rows * encoder.code_bits / 8e6:.0f} MB"],
            ["in memory: the process, at most", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB"],
        ]
        print(table([f"{arguments.rows} rows of {encoder.dimensions} numbers", ""], lines))


if __name__ == "__main__":
    main()
