"""A library of many videos measured: exact search against the index, the codes, and the codes ordered by cosine.

    python -m tests.benchmarks.video_search_scale [--vectors FILE.npy] [--rows 100000] [--folder FOLDER]

Prints two Markdown tables. FILE.npy holds what an encoder made of real clips: (clips, versions, D), the clip itself
first and then its augmented versions; `grow` makes the rows and the queries of it. Without a file, random vectors of
few strong directions take its place. Every tenth row carries the tag that is searched with.

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
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
from numpy.typing import NDArray

from core.store import EncoderVersion, Library, Match, Record, open_library
from core.store.lance_rows import table_name
from core.video_search.hashing import HashCodes
from tests.benchmarks.video_search import table

Vectors = NDArray[np.float32]
Hash = Callable[[Vectors], NDArray[np.uint8]]
TOP, TAG, TAG_EVERY, BATCH = 5, "tenth", 10, 5000
STORED = "the store's exact search"


def grow(clips: Vectors, rows: int, seed: int) -> Iterator[Vectors]:
    """Make many vectors that lie as an encoder's do, batch by batch.

    Each is a real clip's vector, moved along two differences between another clip's augmented version and that clip,
    each times a normal number of deviation 0.7, and brought to length 1. So neighbours are as far apart, and in the
    same directions, as versions of one clip really are; every clip has about ``rows / clips`` of them.

    Args:
        clips: (clips, versions, D), versions at least 2.
        rows: how many to make.
        seed: of the choices.

    Yields:
        (at most 5000, D), of length 1.
    """
    random = np.random.default_rng(seed)
    moves = (clips[:, 1:] - clips[:, :1]).reshape(-1, clips.shape[2])
    for start in range(0, rows, BATCH):
        count = min(BATCH, rows - start)
        grown = clips[random.integers(0, len(clips), count), 0]
        for _ in range(2):
            grown += moves[random.integers(0, len(moves), count)] * random.normal(0, 0.7, (count, 1)).astype(np.float32)
        yield grown / np.linalg.norm(grown, axis=1, keepdims=True)


def synthetic_clips(dimensions: int) -> Vectors:
    """A stand-in for real vectors: 800 clips with 4 versions each in 200 directions of falling strength."""
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.standard_normal((dimensions, 200)))[0].T * np.arange(1, 201)[:, None] ** -0.7
    centres, moves = random.standard_normal((800, 1, 200)), random.standard_normal((800, 5, 200)) * 0.35
    moves[:, 0] = 0
    clips = (centres + moves) @ directions + 0.3 * directions[0] + random.normal(0, 0.003, (800, 5, dimensions))
    return (clips / np.linalg.norm(clips, axis=2, keepdims=True)).astype(np.float32)


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, help="(clips, versions, D) real vectors (default: synthetic ones)")
    parser.add_argument("--rows", type=int, default=100_000, help="size of the library (default: 100000)")
    parser.add_argument("--dimensions", type=int, default=4096, help="of synthetic vectors (default: 4096)")
    parser.add_argument("--queries", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--folder", type=Path, help="where the library is made and deleted again")
    arguments = parser.parse_args()
    clips = np.load(arguments.vectors) if arguments.vectors else synthetic_clips(arguments.dimensions)
    clips = (clips / np.linalg.norm(clips, axis=2, keepdims=True)).astype(np.float32)
    matrix = np.empty((arguments.rows, clips.shape[2]), np.float32)
    for number, some in enumerate(grow(clips, arguments.rows, seed=0)):
        matrix[number * BATCH :][: len(some)] = some
    queries = np.concatenate(list(grow(clips, arguments.queries + 1, seed=1)))
    hashing = HashCodes(clips[:, 0].mean(axis=0))
    encoder = EncoderVersion("scale", "1", clips.shape[2], hashing.bits)
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
