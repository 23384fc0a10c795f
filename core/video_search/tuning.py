"""From a folder of films to a model file: features, training, thresholds (METHODS 3, training and fine-tuning)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.command_line import origin
from core.encoders.image import ImageEncoder
from core.encoders.sequence import NetworkConfig, SequenceEncoder
from core.errors import ParameterError
from core.runtime import Progress, part_of, silent
from core.video_search.data import DrawnFilms, SequenceConfig, cached_features
from core.video_search.descriptor import Model, Thresholds, baselines, unit_rows, write_model
from core.video_search.train import (
    LEAST_FILMS,
    Figure,
    TrainConfig,
    Training,
    encode,
    feature_statistics,
    measure,
    pooled,
)

HELD_OUT = 6
"""One film in so many is held out: every sixth run of neighbours by name, which are often of one source."""
BACKGROUND = 256
"""Films of the background set, at most."""


@dataclass(frozen=True)
class Tuned:
    """A training that is done."""

    path: Path
    version: str
    before: Figure
    """The network it began with, on the films held out."""
    after: Figure
    films: int
    held_out: int


@dataclass(frozen=True)
class Recipe:
    """All that a training needs to know besides the films."""

    sequences: SequenceConfig
    training: TrainConfig
    network: NetworkConfig | None = None
    """Shape of a new network; None when one is trained further."""
    start: SequenceEncoder | None = None


def tune(
    films: Sequence[Path], encoder: ImageEncoder, recipe: Recipe, folder: Path, progress: Progress = silent
) -> Tuned:
    """Train on films and write ``model.safetensors`` into ``folder``, with ``metrics.jsonl`` beside it.

    A run that was stopped or killed goes on where it was when it is called again with the same folder.

    Args:
        films: readable films; others are left out with a line in the log.
        encoder: the frozen image network.
        recipe: draws, training, and the network to begin with.
        folder: for the features, the checkpoint and the result.
        progress: half of it is features, half training.

    Raises:
        ParameterError: too few films can be read.
        CancelledError: ``progress`` says so; what was finished is gone on with the next time.
    """
    files = cached_features(sorted(films), folder / "features", encoder, recipe.sequences, part_of(progress, 0, 2))
    run = max(1, len(files) // HELD_OUT**2)
    unseen = [file for index, file in enumerate(files) if index // run % HELD_OUT == HELD_OUT - 1]
    seen = [file for file in files if file not in unseen]
    if len(seen) < LEAST_FILMS:
        raise ParameterError(f"There are {len(seen)} films to train on; give at least {LEAST_FILMS}.")
    if len(unseen) < 2:
        raise ParameterError(f"There are {len(files)} films, too few to hold some out; give at least {2 * HELD_OUT}.")
    pairs, held_out = DrawnFilms(seen, backwards=True), DrawnFilms(unseen)
    torch.manual_seed(recipe.training.seed)
    network = recipe.start or SequenceEncoder(
        recipe.network or NetworkConfig(features=encoder.dimensions), feature_statistics(pairs)
    )
    before = measure(network, held_out)
    trained = Training(network, pairs, held_out, recipe.training, folder).run(part_of(progress, 1, 2))
    after = measure(trained, held_out)
    version = _version(trained)
    model = Model(trained, version, f"{encoder.name} {encoder.version}", *_calibrated(trained, pairs, held_out))
    path = folder / "model.safetensors"
    write_model(
        model, path, {**origin("video_search"), "films": str(len(seen)), "training": json.dumps(vars(recipe.training))}
    )
    return Tuned(path, version, before, after, len(seen), len(held_out))


def _version(network: SequenceEncoder) -> str:
    """Ten digits of the digest of the weights."""
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:10]


def _calibrated(
    network: SequenceEncoder, films: DrawnFilms, held_out: DrawnFilms
) -> tuple[np.ndarray, np.ndarray, Thresholds]:
    """Mean vector, background set and thresholds: a copy scores above 99.5 % of strangers, a topic above 97 %."""
    every, held = encode(network, pooled(network, films)), encode(network, pooled(network, held_out))
    background = every[:BACKGROUND, 0]
    strangers = held[:, 1:].reshape(-1, held.shape[2])
    owners = np.repeat(np.arange(len(held_out)), held.shape[1] - 1)
    scores = strangers @ held[:, 0].T
    scores -= baselines(background, strangers)[:, None]
    apart = scores[owners[:, None] != np.arange(len(held_out))]
    thresholds = Thresholds(*(float(np.quantile(apart, share)) for share in (0.995, 0.97)))
    return every.mean((0, 1)).astype(np.float32), unit_rows(background), thresholds
