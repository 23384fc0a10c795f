"""Parts of films measured: is the order of the pictures told, are parts found, and where in a long film do they lie?

    python -m tests.benchmarks.video_search_parts --list FILE --twins FILE --cache DIR [--long FILM]

The films of the list (one path a line) must be none that the model was trained on. Prints two Markdown tables.

- Augmented parts: seven of every film, drawn and changed as `core.video_search.train` draws its training sequences. A
  part tells the order when it is nearer to its film than to the same film played backwards, or with its frames
  shuffled; equal cosines count half, so that chance is 50 %. Recall@1: its film is the nearest of all films, as it is.
- Excerpts of the long film, 8 to 20 s, at most 480 pixels a side, H.264 at CRF 30, each searched for in a library of
  all films of the list but the long one's twins: is that film found first, and its offset within a second?
"""

import argparse
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.encoders.image import ImageEncoder, image_encoder
from core.media import EncodeOptions, VideoReader, write_video
from core.runtime import current_profile
from core.video_search import SearchRequest, VideoSearch
from core.video_search.data import DrawnFilms, SequenceConfig, cached_features
from core.video_search.descriptor import Descriptor, MeanDescriptor, TrainedDescriptor
from core.video_search.evaluation import Estimate
from core.video_search.metrics import bootstrap_interval
from core.video_search.pipeline import ENCODERS
from tests.benchmarks.video_search import table

Vectors = NDArray[np.float32]
PARTS, SIDE_PX, CRF = 7, 480, 30
SHORTEST_S, LONGEST_S = 8, 20


def described(films: DrawnFilms, descriptor: Descriptor) -> Vectors:
    """(films, 1 + PARTS, D): every film as it is, and its parts."""
    return np.stack([[descriptor.describe(draw.astype(np.float32)) for draw in film] for film in films.films])


def in_another_order(films: DrawnFilms, descriptor: Descriptor, shuffled: bool) -> Vectors:
    """(films, D): every film as it is, played backwards or with its frames shuffled."""
    random, vectors = np.random.default_rng(0), []
    for film in films.films:
        order = random.permutation(len(film[0])) if shuffled else np.arange(len(film[0]))[::-1]
        vectors.append(descriptor.describe(film[0][order].astype(np.float32)))
    return np.stack(vectors)


def share(hits: NDArray[np.float64]) -> Estimate:
    """The mean of (films, PARTS), with its interval over films."""
    of_films = hits.mean(axis=1)
    names = [str(film) for film in range(len(hits))]
    return Estimate(float(hits.mean()), *bootstrap_interval(lambda w: float(np.average(of_films, weights=w)), names))


def order_told(vectors: Vectors, others: Vectors) -> NDArray[np.float64]:
    """(films, PARTS): 1 where a part is nearer to its film than to the same in another order, a half where as near."""
    gains = np.einsum("fpd,fd->fp", vectors[:, 1:], vectors[:, 0] - others)
    return np.where(np.abs(gains) < 1e-5, 0.5, gains > 0)


def parts_found(vectors: Vectors) -> NDArray[np.float64]:
    """(films, PARTS): 1 where a part's film is the nearest of all."""
    cosines = np.einsum("fpd,gd->fpg", vectors[:, 1:], vectors[:, 0])
    return (cosines.argmax(axis=2) == np.arange(len(vectors))[:, None]).astype(np.float64)


def parts_table(films: DrawnFilms, descriptors: dict[str, Descriptor]) -> str:
    """What every descriptor makes of the parts."""
    rows = []
    for name, descriptor in descriptors.items():
        vectors = described(films, descriptor)
        told = [order_told(vectors, in_another_order(films, descriptor, shuffled)) for shuffled in (False, True)]
        rows.append([name, *(share(hits) for hits in [*told, parts_found(vectors)])])
    return table(["of each part", "backwards told", "shuffled told", "recall@1"], rows)


def excerpt(film: Path, duration_s: float, random: np.random.Generator, out: Path) -> float:
    """Write an excerpt of a film; return where it begins, in seconds."""
    length = float(random.uniform(SHORTEST_S, LONGEST_S))
    start = float(random.uniform(0, duration_s - length))
    with VideoReader(film, size=SIDE_PX) as reader:
        frames = reader.frames_at_rate(reader.info.frame_rate, Fraction(start), Fraction(start + length))
        pictures = (frame.pixels for frame in frames)
        write_video(out, pictures, reader.info.frame_rate, options=EncodeOptions(crf=CRF, preset="superfast"))
    return start


def excerpts_table(films: list[Path], long: Path, encoder: ImageEncoder, count: int) -> str:
    """How often the right film is found first, and the right place in it."""
    random, right, placed = np.random.default_rng(0), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        search = VideoSearch(Path(folder) / "library", encoder)
        added = sum(report.status == "added" for report in search.add_each([long, *(f for f in films if f != long)]))
        (first,) = search.find(long, SearchRequest(top=1)).results
        for done in range(count):
            part = Path(folder) / "excerpt.mp4"
            start = excerpt(long, first.duration_s, random, part)
            found = search.find(part, SearchRequest(top=1)).results[0]
            right += found.id == first.id
            off = np.inf if found.offset_s is None or found.id != first.id else abs(found.offset_s - start)
            placed += bool(off <= 1)
            print(f"excerpt {done + 1}/{count}: off by {off:.2f} s", file=sys.stderr)
    row = [long.name, added, f"{right} of {count}", f"{placed} of {count}"]
    return table(["excerpts of", "films in the library", "right film first", "offset within 1 s"], [row])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", type=Path, required=True, help="file with the paths of films not trained on")
    parser.add_argument("--twins", type=Path, help="file of lines: file name, tab, group of films that show the same")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the features of films and parts")
    parser.add_argument("--model", type=Path, action="append", default=[], help="another model to measure beside ours")
    parser.add_argument("--long", type=Path, help="the film to take excerpts of (default: none are taken)")
    parser.add_argument("--excerpts", type=int, default=60, help="how many (default: 60)")
    arguments = parser.parse_args()
    listed = [Path(line) for line in arguments.list.read_text(encoding="utf-8").splitlines() if line]
    encoder = image_encoder(ENCODERS[current_profile()])
    files = cached_features(listed, arguments.cache, encoder, SequenceConfig(draws=1 + PARTS))
    films, trained = DrawnFilms(files), TrainedDescriptor()
    print(f"{len(films)} films, {PARTS} parts of each; 95 % intervals over films.\n")
    others = {path.parent.name: TrainedDescriptor(path) for path in arguments.model}
    print(parts_table(films, {"trained": trained, **others, "mean features (issue A)": MeanDescriptor(encoder)}))
    if arguments.long:
        lines = arguments.twins.read_text(encoding="utf-8").splitlines() if arguments.twins else []
        twins = dict(line.split("\t") for line in lines)
        group = twins.get(arguments.long.name, "")
        apart = [film for film in listed if not group or twins.get(film.name) != group]
        print("\n" + excerpts_table(apart, arguments.long, encoder, arguments.excerpts))


if __name__ == "__main__":
    main()
