"""Similar-video search measured on real clips: are copies found, and what does describing a video cost?

    python -m tests.benchmarks.video_search FOLDER [FOLDER ...]

Prints two Markdown tables. Every clip of the folders goes into a library; then three copies are made of each, and each
copy is searched for. A copy is of at most 120 s, at most 320 pixels wide and 12 frames a second, and

- re-encoded: H.264 at CRF 40;
- cropped: a tenth cut off each side, H.264 at CRF 28;
- cut: the middle half of the film only, H.264 at CRF 28.

Beside the tool's own descriptor, in the same run and from the same frames: an HSV colour histogram compared by
intersection, and the perceptual hash of imagehash, every query frame compared with its nearest frame of the other film.
Files that a manifest.csv in their folder flags "tests only" are left out: among them are known copies of others.
"""

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import MediaError
from core.media import EncodeOptions, VideoReader, probe, write_video
from core.video_search import VideoSearch

Pictures = NDArray[np.uint8]
SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".mpg", ".ts", ".webp", ".gif"}
COPY_RATE, COPY_S, COPY_SIDE = Fraction(12), 120, 320


@dataclass(frozen=True)
class Fingerprints:
    """What the three methods keep of one film."""

    descriptor: NDArray[np.float32]
    histogram: NDArray[np.float32]
    hashes: NDArray[np.bool_]


def clips(folders: list[Path]) -> list[Path]:
    """The films of the folders, without those that are flagged for tests only."""
    flagged = set()
    for folder in folders:
        for table in folder.glob("manifest.csv"):
            with table.open(encoding="utf-8", newline="") as stream:
                flagged |= {folder / row["file"] for row in csv.DictReader(stream) if row["flag"].startswith("tests")}
    found = [path for folder in folders for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    return [path for path in found if path not in flagged]


def fingerprints(search: VideoSearch, path: Path) -> Fingerprints:
    """All three methods on the same frames: one a second, at least eight."""
    descriptor = search.describe(path).descriptor
    with VideoReader(path, size=(224, 224)) as reader:
        rate = max(Fraction(1), 8 / max(reader.info.duration_s, Fraction(1, 100)))
        frames = [frame.pixels for frame in reader.frames_at_rate(rate)]
    histogram = np.mean([colour_histogram(frame) for frame in frames], axis=0)
    hashes = np.stack([imagehash.phash(Image.fromarray(frame)).hash.ravel() for frame in frames])
    return Fingerprints(descriptor, histogram, hashes)


def colour_histogram(frame: Pictures) -> NDArray[np.float32]:
    """12 hues × 4 saturations × 4 values of an (H, W, 3) picture, summing to 1."""
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256]).ravel()
    return counts / counts.sum()


METHODS: dict[str, Callable[[Fingerprints, Fingerprints], float]] = {
    "this tool": lambda a, b: float(a.descriptor @ b.descriptor),
    "colour histogram": lambda a, b: float(np.minimum(a.histogram, b.histogram).sum()),
    "perceptual hash": lambda a, b: -float((a.hashes[:, None] != b.hashes[None]).sum(-1).min(1).mean()),
}


def copies(path: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Write the three copies of a film, one after the other."""
    info = probe(path)
    scale = min(1.0, COPY_SIDE / max(info.width, info.height))
    size = max(2, round(info.width * scale / 2) * 2), max(2, round(info.height * scale / 2) * 2)
    length = min(info.duration_s, Fraction(COPY_S))
    whole, middle = (Fraction(0), Fraction(1)), (Fraction(1, 4), Fraction(3, 4))
    kinds = {"re-encoded": (whole, 0.0, 40), "cropped": (whole, 0.1, 28), "cut": (middle, 0.0, 28)}
    for kind, ((start, end), margin, crf) in kinds.items():
        out = folder / f"{kind}.mp4"
        dx, dy = round(size[0] * margin), round(size[1] * margin)
        with VideoReader(path, size=size) as reader:
            frames = reader.frames_at_rate(COPY_RATE, start * length, end * length)
            pictures = (frame.pixels[dy : size[1] - dy, dx : size[0] - dx] for frame in frames)
            write_video(out, pictures, COPY_RATE, options=EncodeOptions(crf=crf))
        yield kind, out


def copy_table(search: VideoSearch, paths: list[Path], folder: Path) -> str:
    """Recall@1 of every method, by kind of copy."""
    originals = {path: fingerprints(search, path) for path in paths}
    hits: dict[tuple[str, str], list[bool]] = {}
    for index, path in enumerate(paths, 1):
        print(f"{index}/{len(paths)} {path.name}", file=sys.stderr)
        for kind, copy in copies(path, folder):
            query = fingerprints(search, copy)
            for method, similarity in METHODS.items():
                best = max(originals, key=lambda other: similarity(query, originals[other]))
                hits.setdefault((method, kind), []).append(best == path)
                if best != path and method == "this tool":
                    print(f"missed: {kind} of {path.name} taken for {best.name}", file=sys.stderr)
    kinds = list(dict.fromkeys(kind for _, kind in hits))
    rows = [[m, *(share(hits[m, k]) for k in kinds), share([h for k in kinds for h in hits[m, k]])] for m in METHODS]
    return table(["copies whose original comes first", *kinds, "all"], rows)


def cost_table(search: VideoSearch, paths: list[Path], repeats: int) -> str:
    """Seconds to describe the clips against a bare loop, and whether any frame was decoded twice."""
    ours, bare, decoded, there = [], [], 0, 0
    for _ in range(repeats):
        bare.append(timed(lambda path: bare_loop(search, path), paths))
        ours.append(timed(search.describe, paths))
    for path in paths:
        with VideoReader(path, size=(224, 224)) as reader:
            there += sum(1 for _ in av.open(str(path)).decode(video=0))
            list(reader.frames_at_rate(Fraction(1)))
            decoded += reader.decoded_frames
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    row = [
        str(len(paths)),
        f"{statistics.median(bare):.1f} s",
        f"{statistics.median(ours):.1f} s",
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{decoded} of {there}",
    ]
    return table(
        ["clips", "bare loop", "this tool", "ratio, median (range)", "frames decoded, of all there are"], [row]
    )


def bare_loop(search: VideoSearch, path: Path) -> None:
    """PyAV decodes every frame, one a second is resized and encoded; no checks, no rotation, no thought."""
    batch: list[Pictures] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        next_s = 0.0
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= next_s:
                batch.append(frame.reformat(224, 224, "rgb24").to_ndarray().astype(np.uint8, copy=False))
                next_s += 1.0
            if len(batch) == 32:
                search.encoder.encode(np.stack(batch))
                batch = []
    if batch:
        search.encoder.encode(np.stack(batch))


def timed(job: Callable[[Path], object], paths: list[Path]) -> float:
    """Seconds that a job takes for all files."""
    start = time.perf_counter()
    for path in paths:
        job(path)
    return time.perf_counter() - start


def share(hits: list[bool]) -> str:
    """A percentage with its counts."""
    return f"{100 * sum(hits) / len(hits):.1f} % ({sum(hits)} of {len(hits)})"


def table(head: list[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines: list[Sequence[object]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=None, help="only so many clips")
    parser.add_argument("--repeats", type=int, default=3, help="how often the cost is measured (default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        search = VideoSearch(Path(folder) / "library")
        paths = []
        for path in clips(arguments.folders)[: arguments.limit]:
            try:
                probe(path)
                paths.append(path)
            except MediaError as error:
                print(f"left out: {error}", file=sys.stderr)
        print(copy_table(search, paths, Path(folder)), end="\n\n")
        films = [path for path in paths if path.suffix != ".webp" and probe(path).duration_s >= 8]
        print(cost_table(search, films, arguments.repeats))


if __name__ == "__main__":
    main()
