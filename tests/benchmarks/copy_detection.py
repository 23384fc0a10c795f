"""Copy detection measured: thirteen kinds of copies, each searched for among all originals, by this tool and by peers.

    python -m tests.benchmarks.copy_detection [FOLDER ...] --list FILE --queries N --cache DIR --peers PYTHON

The films of the folders and of the list are the references. Those of the list (one path a line; without a list, all)
are copied in the thirteen ways of `core.video_search.copies`, and each copy is compared with every reference: its own
original is to come first, the rest are distractors. Copies and descriptors are kept in the cache, so that a run that
was stopped goes on, and a method that is added costs only itself. Prints Markdown tables: micro-average precision,
mean average precision and recall@1, with 95 % bootstrap intervals over sources.

The methods, and how to install the peers among them, are described in `tests.benchmarks.copy_methods`; the peers run
in an interpreter of their own, named by ``--peers``, and none of them is a dependency.
"""

import argparse
import random
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from core.encoders.image import image_encoder
from core.encoders.sequence import SequenceEncoder
from core.errors import MediaError, WeightsError
from core.media import probe
from core.runtime import current_profile
from core.video_search.copies import TRANSFORMS, Copy
from core.video_search.descriptor import TrainedDescriptor, baseline
from core.video_search.evaluation import DetectionScores, Trial, advantage, evaluate
from core.video_search.features import mean_descriptor
from core.video_search.kept_copies import content_key, kept_copy
from core.video_search.metrics import Scores
from core.video_search.pipeline import ENCODERS
from tests.benchmarks.copy_methods import (
    Film,
    Method,
    Peers,
    feature_method,
    histogram,
    intersection,
    segments,
    vector_method,
)
from tests.benchmarks.video_search import clips, table


@dataclass(frozen=True)
class Query(Film):
    """A copy, what it was made of, and the film behind it in a picture-in-picture."""

    source: str
    transform: str
    background: str | None


def our_methods(models: list[Path]) -> list[Method]:
    """The first one is "ours": the embedded model, then those of ``models``, by the names of their folders.

    The features of the frames are kept in the cache under the encoder's name and version, the vectors are made anew in
    each run: a model that was trained again needs nothing but a new run.
    """
    encoder = image_encoder(ENCODERS[current_profile()])
    mean = feature_method("mean features (issue A)", encoder, lambda features: mean_descriptor([features])[None])
    try:
        trained = TrainedDescriptor()
    except WeightsError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return [mean]
    untrained = TrainedDescriptor()
    torch.manual_seed(0)
    told = {"mean": trained.network.feature_mean, "deviation": trained.network.feature_deviation}
    untrained.network = SequenceEncoder(trained.network.config, told).eval()
    named = {"trained": trained, **{path.parent.name: TrainedDescriptor(path) for path in models}}
    return [
        *(feature_method(name, encoder, partial(segments, m), partial(baseline, m)) for name, m in named.items()),
        feature_method("trained, raw cosine", encoder, partial(segments, trained)),
        feature_method("untrained network", encoder, partial(segments, untrained)),
        mean,
    ]


def films(paths: Iterable[Path]) -> list[Film]:
    """The films that can be read, each content once."""
    found: dict[str, Film] = {}
    for path in paths:
        try:
            if probe(path).is_still:
                continue
            key = content_key(path)
        except MediaError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        found.setdefault(key, Film(key, path))
    return list(found.values())


def copies(sources: list[Film], others: list[Film], cache: Path, processes: int) -> list[Query]:
    """Thirteen copies of every source, those that the cache lacks made; one that fails is named and left out."""
    jobs = [(film, transform) for film in sources for transform in TRANSFORMS]
    keys = {film.path: film.key for film in others}
    make = partial(copy_or_error, cache=cache / "copies", others=list(keys))
    queries: list[Query] = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for (film, transform), copy in zip(jobs, pool.map(make, jobs), strict=True):
            if isinstance(copy, str):
                print(copy, file=sys.stderr)
                continue
            print(f"copies: {len(queries) + 1}/{len(jobs)}", file=sys.stderr)
            background = keys[copy.background] if copy.background else None
            queries.append(Query(f"{film.key}-{transform}", copy.path, film.key, transform, background))
    return queries


def copy_or_error(job: tuple[Film, str], cache: Path, others: list[Path]) -> Copy | str:
    """A copy, or why there is none."""
    film, transform = job
    try:
        return kept_copy(film.path, transform, cache, others)
    except MediaError as error:
        return f"left out: {transform} of {film.path.name}: {error}"


def scored(method: Method, references: list[Film], queries: list[Query], cache: Path) -> Scores:
    """Describe what the cache lacks, and compare every copy with every reference."""
    everything = [*references, *queries]
    jobs = [(film, out) for film in everything if not (out := method.file(film, cache)).exists()]
    method.file(everything[0], cache).parent.mkdir(parents=True, exist_ok=True)
    if jobs:
        print(f"{method.name}: {len(jobs)} films to describe", file=sys.stderr)
        method.describe(jobs)
    failed = sum(not method.file(film, cache).exists() for film in everything)
    if failed:
        print(f"{method.name}: {failed} of {len(everything)} films could not be described", file=sys.stderr)
    return method.compare([method.file(q, cache) for q in queries], [method.file(r, cache) for r in references])


def tables(results: dict[str, list[DetectionScores]], scores: dict[str, Scores], trial: Trial, rounds: int) -> str:
    """Overall; µAP and recall@1 by transform; and how far the first method is ahead of each other one."""
    overall = [
        [name, *(getattr(rows[0], m) for m in ("micro_average_precision", "mean_average_precision", "recall_at_1"))]
        for name, rows in results.items()
    ]
    parts = [table(["method", "µAP", "mAP", "recall@1"], overall)]
    kinds = list(zip(*results.values(), strict=True))
    for measure, title in (("micro_average_precision", "µAP"), ("recall_at_1", "recall@1")):
        rows = [[kind[0].transform, kind[0].copies, *(getattr(row, measure) for row in kind)] for kind in kinds]
        parts.append(table([f"{title} by transform", "copies", *results], rows))
    first, *others = results
    ahead = []
    for other in others:
        pairs = list(zip(results[first][1:], results[other][1:], strict=True))
        gains = np.array([a.micro_average_precision.value - b.micro_average_precision.value for a, b in pairs])
        gain = advantage(scores[first], scores[other], trial, rounds)
        ahead.append([other, gain, f"{(gains > 0).sum()}, {(gains == 0).sum()}, {(gains < 0).sum()}"])
    if ahead:
        parts.append(table([f"{first} against", "µAP ahead by", "transforms ahead, level, behind"], ahead))
    return "\n\n".join(parts)


def wrong_pairs(scores: Scores, references: list[Film], queries: list[Query], trial: Trial, count: int = 20) -> str:
    """The surest wrong pairs of a method: a place to look for films that show the same and are not named as twins."""
    wrong = np.where(trial.positives | trial.ignored, -np.inf, scores)
    names = {film.key: film.path.name for film in references}
    found = np.argsort(-wrong, axis=None)[:count]
    places = [divmod(int(place), len(references)) for place in found]
    return "\n".join(
        f"{wrong[q, r]:.3f}  {queries[q].transform} of {names[queries[q].source]} taken for {references[r].path.name}"
        for q, r in places
    )


def measure(arguments: argparse.Namespace) -> str:
    """All of it."""
    listed = [Path(line) for file in arguments.list for line in file.read_text(encoding="utf-8").split("\n") if line]
    references = films([*listed, *clips(arguments.folders)])
    sources = [film for film in references if film.path in set(listed)] if listed else references
    if arguments.queries is not None and arguments.queries < len(sources):
        sources = random.Random(arguments.seed).sample(sources, arguments.queries)
    queries = copies(sources, references, arguments.cache, arguments.processes)
    twins = dict(line.split("\t") for file in arguments.twins for line in file.read_text(encoding="utf-8").splitlines())
    trial = Trial(
        [film.key for film in references],
        [query.source for query in queries],
        [query.transform for query in queries],
        {film.key: twins[film.path.name] for film in references if film.path.name in twins},
        [query.background for query in queries],
    )
    methods = [*our_methods(arguments.model), vector_method("colour histogram", histogram, intersection)]
    methods += Peers(arguments.peers, arguments.cache).methods()
    scores = {method.name: scored(method, references, queries, arguments.cache) for method in methods}
    if arguments.wrong:
        print(wrong_pairs(scores[methods[0].name], references, queries, trial), file=sys.stderr)
    results = {name: evaluate(given, trial, arguments.rounds) for name, given in scores.items()}
    made_of = len({query.source for query in queries})
    head = f"{len(queries)} copies of {made_of} films, searched for among {len(references)} references.\n\n"
    return head + tables(results, scores, trial, arguments.rounds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--list", type=Path, action="append", default=[], help="file with the paths to make copies of")
    parser.add_argument("--twins", type=Path, action="append", default=[], help="file of lines: file name, tab, group")
    parser.add_argument("--model", type=Path, action="append", default=[], help="another model to measure beside ours")
    parser.add_argument("--queries", type=int, default=None, help="copy only so many films, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw (default: 0)")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the copies and descriptors")
    parser.add_argument("--processes", type=int, default=2, help="that make copies at once (default: 2)")
    parser.add_argument("--peers", default=sys.executable, help="python interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=1000, help="draws of the bootstrap (default: 1000)")
    parser.add_argument("--wrong", action="store_true", help="name the first method's surest wrong pairs")
    arguments = parser.parse_args()
    print(measure(arguments))


if __name__ == "__main__":
    main()
