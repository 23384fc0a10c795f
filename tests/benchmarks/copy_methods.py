"""The methods that `tests.benchmarks.copy_detection` compares: each describes films, one file each, and compares those.

All look at the same films. Our own models, the colour histogram and PDQ see a frame a second and at least
eight. The peers are run by `tests.benchmarks.copy_peers` in an interpreter of their own:

- videohash 3.0.1: 64 bits of a collage of a frame a second, by Hamming distance; made to run on today's Pillow;
- PDQ (pdqhash 0.2.8): frames by their nearest frame of the reference, mean Hamming distance;
- vPDQ: the share of the query's frames of quality 50 or more with such a frame of the reference within 31 bits, as
  facebook/ThreatExchange publishes it, computed here from pdqhash's hashes (the package vpdq needs libav's headers);
- TMK+PDQF (tmkpy 0.1.1): the level-2 score.

To install them (tmkpy is compiled: it needs a C++ compiler, make and swig; each may be left out):

    python -m venv PEERS
    PEERS/bin/pip install pdqhash==0.2.8 imageio-ffmpeg imagehash imagedominantcolor tmkpy==0.1.1
    PEERS/bin/pip install --no-deps videohash==3.0.1
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.encoders.image import ImageEncoder
from core.errors import MediaError
from core.media import EncodeOptions, VideoReader, write_video
from core.video_search.config import SearchConfig
from core.video_search.descriptor import Descriptor, Vectors, unit_rows
from core.video_search.metrics import Scores
from core.video_search.reading import frame_features
from core.video_search.rows import SEGMENT_FRAMES, segment_starts
from tests.benchmarks import copy_peers
from tests.benchmarks.video_search import colour_histogram

READ_BY_FFMPEG = {".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".ts", ".m4v"}
PDQ_BITS, VPDQ_DISTANCE, VPDQ_QUALITY = 256, 31, 50


@dataclass(frozen=True)
class Film:
    """A film under a short name that holds wherever it lies: the beginning of its content's sha256."""

    key: str
    path: Path


@dataclass(frozen=True)
class Method:
    """A way to describe films and to compare the descriptions."""

    name: str
    kept: str
    """The descriptions' folder in the cache, a dot, and their suffix."""
    describe: Callable[[list[tuple[Film, Path]]], None]
    """Writes each film's description; a film that cannot be described is named, and has none."""
    compare: Callable[[Sequence[Path], Sequence[Path]], Scores]
    """Scores (Q, R) of description files, more is surer; one that is missing is like nothing."""

    def file(self, film: Film, cache: Path) -> Path:
        """Where the description of a film is kept."""
        folder, suffix = self.kept.split(".")
        return cache / folder / f"{film.key}.{suffix}"


def describe_each(jobs: list[tuple[Film, Path]], name: str, describe: Callable[[Path], Vectors]) -> None:
    """Describe films one by one."""
    for done, (film, out) in enumerate(jobs, 1):
        print(f"{name}: {done}/{len(jobs)}", file=sys.stderr)
        try:
            np.save(out, describe(film.path))
        except MediaError as error:
            print(f"left out: {error}", file=sys.stderr)


def feature_method(
    name: str,
    encoder: ImageEncoder,
    vectors: Callable[[Vectors], Vectors],
    usual: Callable[[Vectors], float] = lambda vector: 0.0,
) -> Method:
    """One of ours: keeps the features of a film's frames, and compares the vectors that a model makes of them.

    Args:
        name: of the method.
        encoder: looks at the frames.
        vectors: unit vectors (N, D) of a film's segments, from features (T, F).
        usual: what is taken off the similarities of a query, from the mean direction (D,) of its segments.

    Returns:
        The method whose score is the highest cosine of two segments, less the query's usual one, as in `VideoSearch`.
    """

    def compare(queries: Sequence[Path], references: Sequence[Path]) -> Scores:
        described = [vectors(np.load(path)) for path in references if path.exists()]
        there = [path.exists() for path in references]
        stacked, starts = np.concatenate(described), np.cumsum([0, *map(len, described[:-1])])
        scores = np.full((len(queries), len(references)), -2.0)
        for row, path in enumerate(queries):
            if path.exists():
                query = vectors(np.load(path))
                cosines = np.maximum.reduceat((query @ stacked.T).max(0), starts)
                scores[row, there] = cosines - usual(unit_rows(query.mean(0)[None])[0])
        return scores

    kept = f"features-{encoder.name}-{encoder.version}".replace(".", "_")
    config = SearchConfig()
    describe = partial(describe_each, name=kept, describe=lambda path: frame_features(path, encoder, config)[1])
    return Method(name, f"{kept}.npy", describe, compare)


def segments(descriptor: Descriptor, features: Vectors) -> Vectors:
    """The vectors of a film's segments, as `VideoSearch` makes them."""
    starts = segment_starts(len(features))
    return np.stack([descriptor.describe(features[start : start + SEGMENT_FRAMES]) for start in starts])


def vector_method(
    name: str, describe: Callable[[Path], Vectors], compare: Callable[[Vectors, Vectors], Scores]
) -> Method:
    """A method that keeps one vector of a film."""
    kept = name.replace(" ", "_")
    described = partial(describe_each, name=name, describe=describe)
    return Method(name, f"{kept}.npy", described, partial(compare_vectors, compare=compare))


def compare_vectors(
    queries: Sequence[Path], references: Sequence[Path], compare: Callable[[Vectors, Vectors], Scores]
) -> Scores:
    """Stack the vectors of files, with zeros for those that are missing, and compare them."""
    nothing = np.zeros_like(np.load(next(path for path in references if path.exists())))
    stacks = (np.stack([np.load(p) if p.exists() else nothing for p in paths]) for paths in (queries, references))
    return compare(*stacks)


def frames(path: Path, size: tuple[int, int] | int) -> NDArray[np.uint8]:
    """(T, H, W, 3): one frame a second, at least eight, as `VideoSearch` samples them."""
    with VideoReader(path, size=size) as reader:
        rate = max(Fraction(1), 8 / max(reader.info.duration_s, Fraction(1, 100)))
        return np.stack([frame.pixels for frame in reader.frames_at_rate(rate)])


def histogram(path: Path) -> Vectors:
    """The mean colour histogram of a film's frames."""
    return np.mean([colour_histogram(frame) for frame in frames(path, (224, 224))], axis=0)


def intersection(queries: Vectors, references: Vectors) -> Scores:
    """What histograms share, 0 to 1."""
    return np.stack([np.minimum(query, references).sum(axis=1) for query in queries])


def equal_bits(queries: Vectors, references: Vectors) -> Scores:
    """The share of equal bits, 0 to 1."""
    return (queries[:, None] == references[None]).mean(axis=-1)


def compare_frames(queries: Sequence[Path], references: Sequence[Path], matching: bool) -> Scores:
    """PDQ (the nearest frame's distance, mean over the query's frames) or, if matching, vPDQ's share of matches."""
    least_quality = VPDQ_QUALITY if matching else 0
    hashes = [_signs(path, least_quality) for path in references]
    scores = np.full((len(queries), len(references)), 0.0 if matching else -float(PDQ_BITS))
    for row, path in enumerate(queries):
        query = _signs(path, least_quality)
        query = np.unique(query, axis=0) if matching else query
        for column, reference in enumerate(hashes):
            if len(query) and len(reference):
                distance = ((PDQ_BITS - query @ reference.T) / 2).min(axis=1)
                scores[row, column] = (distance <= VPDQ_DISTANCE).mean() if matching else -distance.mean()
    return scores


def _signs(path: Path, least_quality: int) -> NDArray[np.float32]:
    """(T, 256), -1 and 1, the hashes of the frames that are good enough; none of a file that is missing."""
    hashes = np.load(path) if path.exists() else np.zeros((0, PDQ_BITS + 1), np.uint8)
    kept = hashes[hashes[:, PDQ_BITS] >= least_quality, :PDQ_BITS]
    return kept.astype(np.float32) * 2 - 1


@dataclass(frozen=True)
class Peers:
    """The peers that an interpreter has."""

    python: str
    cache: Path

    def methods(self) -> list[Method]:
        """Those that are installed; the others are named."""
        there = self._run("available").split()
        for missing in sorted(set(copy_peers.PACKAGES) - set(there)):
            print(
                f"skipped: {missing} is not installed; tests/benchmarks/copy_methods.py says how to.", file=sys.stderr
            )
        bits, match = partial(compare_vectors, compare=equal_bits), partial(compare_frames, matching=True)
        offered = [
            Method("videohash", "videohash.npy", partial(self._describe, "videohash"), bits),
            Method("PDQ", "pdq.npy", self._describe_frames, partial(compare_frames, matching=False)),
            Method("vPDQ", "pdq.npy", self._describe_frames, match),
            Method("TMK+PDQF", "tmk.tmk", partial(self._describe, "tmk"), self._compare_tmk),
        ]
        return [method for method in offered if method.kept.split(".")[0] in there]

    def _run(self, command: str, pairs: Iterable[tuple[object, object]] = (), *arguments: object) -> str:
        """What a command of `copy_peers` prints; its own complaints are passed on, those of ffmpeg are not."""
        given = "".join(f"{first}\t{second}\n" for first, second in pairs)
        call = [self.python, str(Path(copy_peers.__file__)), command, *map(str, arguments)]
        done = subprocess.run(call, input=given, text=True, capture_output=True, errors="replace", check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(call)} failed: {done.stderr[-2000:]}")
        for line in done.stderr.splitlines():
            if line.startswith(f"{command}: "):
                print(line, file=sys.stderr)
        return done.stdout

    def _describe(self, peer: str, jobs: list[tuple[Film, Path]]) -> None:
        for begin in range(0, len(jobs), 20):
            print(f"{peer}: {begin}/{len(jobs)}", file=sys.stderr)
            self._run(peer, [(playable(film, self.cache), out) for film, out in jobs[begin : begin + 20]])

    def _describe_frames(self, jobs: list[tuple[Film, Path]]) -> None:
        for begin in range(0, len(jobs), 20):
            print(f"pdq: {begin}/{len(jobs)}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                pairs = [(Path(folder) / f"{film.key}.npy", film, out) for film, out in jobs[begin : begin + 20]]
                for array, film, _ in pairs:
                    np.save(array, frames(film.path, 512))
                self._run("pdq", [(array, out) for array, _, out in pairs])

    def _compare_tmk(self, queries: Sequence[Path], references: Sequence[Path]) -> Scores:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "scores.npy"
            self._run("tmk_scores", [*(("q", q) for q in queries), *(("r", r) for r in references)], out)
            return np.nan_to_num(np.load(out), nan=-1.0)


def playable(film: Film, cache: Path) -> Path:
    """The film itself, or where ffmpeg cannot read it (animated pictures), H.264 that looks the same."""
    if film.path.suffix.lower() in READ_BY_FFMPEG:
        return film.path
    out = cache / "playable" / f"{film.key}.mp4"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        with VideoReader(film.path) as reader:
            pictures = (frame.pixels for frame in reader.frames_at_rate(reader.info.frame_rate))
            write_video(out, pictures, reader.info.frame_rate, options=EncodeOptions(crf=10))
    return out
