"""Training the two towers (METHODS 1, training): one loop over pairs of picture and music.

Every step draws one picture for each track, so that a track with a hundred pictures counts no more than one with three,
and one part of each film, since all its parts have one description. The loss is symmetric InfoNCE with hard negatives
over the batch, once for the towers and, with all negatives alike, once for the space of words; captions and titles add
weak labels. The features are frozen, so a step takes milliseconds. It goes on from its last checkpoint after a kill. Of
several processes each embeds its share of a batch, and the loss is over all of it (`core.sharing`).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from core.digest import sha256_of
from core.errors import ParameterError, check_ranges
from core.media.whole_file import written_whole
from core.music_matching.data import TrainingSet
from core.music_matching.losses import symmetric_info_nce
from core.music_matching.model import ModelConfig, TwoTowers, batch_of
from core.runtime import Progress, seed_everything, silent
from core.sharing import even, from_first, gathered, in_order, rows_of_mine, seed_of, share_gradients

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
LEAST_TRACKS = 4
"""With fewer there is hardly anything to tell a track from."""
_WEAK_TEMPERATURE = 0.1
_WORDS_LEARNING_RATE = 0.03
"""Highest one of the few numbers of the space of words, which have no decay."""
_WEAK_FILMS = 32
"""Captioned films in a step."""


@dataclass(frozen=True)
class TrainConfig:
    """How the towers are trained.

    Raises:
        ParameterError: a value is out of its range.
    """

    steps: int = field(default=250, metadata={"help": "steps, each over one picture of every track, 1 to 100000"})
    learning_rate: float = field(default=1e-3, metadata={"help": "highest learning rate, 0.000001 to 1"})
    weight_decay: float = field(default=0.1, metadata={"help": "decay of AdamW, 0 to 1"})
    hardness: float = field(default=0.2, metadata={"help": "how much harder negatives count for more, 0 to 5"})
    weak: float = field(default=0.3, metadata={"help": "weight of the labels from captions and titles, 0 to 10"})
    checkpoint_every: int = field(default=100, metadata={"help": "steps between checkpoints, 1 to 100000"})
    seed: int = field(default=0, metadata={"help": "seed of the training"})

    def __post_init__(self) -> None:
        check_ranges(
            self,
            ("steps", 1, 100_000),
            ("learning_rate", 1e-6, 1),
            ("weight_decay", 0, 1),
            ("hardness", 0, 5),
            ("weak", 0, 10),
            ("checkpoint_every", 1, 100_000),
        )


class Training:
    """The state of one training: model, optimiser, and how far it is.

    Args:
        model: to be trained, changed in place.
        data: what it is trained on.
        config: how.
        folder: for checkpoint and metrics; an unfinished training there is gone on with. None keeps nothing.

    Raises:
        ParameterError: there are fewer than `LEAST_TRACKS` tracks and films, or the folder holds another training.
    """

    def __init__(self, model: TwoTowers, data: TrainingSet, config: TrainConfig, folder: Path | None = None) -> None:
        names = list(dict.fromkeys(data.sources))
        if len(names) < LEAST_TRACKS:
            raise ParameterError(f"There are {len(names)} tracks and films to train on; give at least {LEAST_TRACKS}.")
        seed_everything(config.seed)
        self.config, self.folder, self.step, self.model = config, folder, 0, model
        self.video, self.music = (
            batch_of(data.videos, model.video.modalities),
            batch_of(data.music, model.music.modalities),
        )
        self.of_source = [np.flatnonzero(np.array(data.sources) == name) for name in names]
        self.weak = _weak_labels(model, data)
        self.accelerator = Accelerator(mixed_precision="no", cpu=True)
        self.optimiser = _optimiser(model, config)
        model.video.fit_scale(*self.video)
        model.music.fit_scale(*self.music)
        self.each_source = _rows(self.music, np.array([indices[0] for indices in self.of_source]))
        model.words.fit_scale(
            self.video, self.each_source, None if data.heard is None else torch.from_numpy(data.heard)
        )
        self._resume()

    def run(self, progress: Progress = silent) -> TwoTowers:
        """Train to the end and return the model.

        Raises:
            CancelledError: ``progress`` says so; the last checkpoint is kept.
        """
        while self.step < self.config.steps:
            progress(self.step, self.config.steps, "training")
            loss = self.one_step()
            if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                self._keep(loss)
        progress(self.config.steps, self.config.steps, "trained")
        self.model.words.fit_usual(self.video, self.each_source)
        return self.model.eval()

    def one_step(self) -> float:
        """Draw a batch, and go one step down its loss, which is returned."""
        self.model.train()
        random = np.random.default_rng([self.config.seed, self.step])
        torch.manual_seed(seed_of(self.config.seed * 100_003 + self.step, self.accelerator))
        rows = self._drawn_rows(random)
        mine = rows_of_mine(rows, self.accelerator)
        video, music = _rows(self.video, mine), _rows(self.music, mine)
        films, tracks = gathered(self.model.video(*video)), gathered(self.model.music(*music))
        told, called = gathered(self.model.words.films(video)), gathered(self.model.words.tracks(music))
        rows = in_order(rows, self.accelerator)
        nothing = torch.zeros(len(rows), len(rows), dtype=torch.bool)
        loss = symmetric_info_nce(self.model.scale * films @ tracks.T, nothing, self.config.hardness)
        loss = loss + symmetric_info_nce(self.model.words.similarities(told, called), nothing)
        if self.weak is not None and self.config.weak:
            loss = loss + self.config.weak * self._weak_loss(tracks, rows)
        for group in self.optimiser.param_groups:
            group["lr"] = group["highest"] * _schedule(self.step / self.config.steps)
        self.optimiser.zero_grad()
        self.accelerator.backward(loss)
        share_gradients(self.model, self.accelerator)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def _drawn_rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """One pair of each track and film; without some, where several processes cannot share them equally."""
        rows = np.array([random.choice(indices) for indices in self.of_source])
        count = even(len(rows), self.accelerator)
        return rows if count == len(rows) else random.permutation(rows)[:count]

    def _weak_loss(self, tracks: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Cross entropy between what captions and titles say and what the towers say of captioned films."""
        assert self.weak is not None
        captioned, likeness, has_words = self.weak
        there = has_words[rows]
        drawn = from_first(torch.randperm(len(likeness)), self.accelerator)[:_WEAK_FILMS].numpy()
        said = F.log_softmax(self.model.scale * self.model.video(*_rows(captioned, drawn)) @ tracks.T[:, there], 1)
        wanted = F.softmax(likeness[drawn][:, rows][:, there] / _WEAK_TEMPERATURE, 1)
        return -(wanted * said).sum(1).mean() + (wanted * wanted.clamp(min=1e-9).log()).sum(1).mean()

    def _keep(self, loss: float) -> None:
        if self.folder is None or not self.accelerator.is_main_process:
            return
        with (self.folder / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": self.step, "loss": round(loss, 4)}) + "\n")
        state = {"settings": self._settings(), "step": self.step, "model": self.model.state_dict()}
        with written_whole(self.folder / CHECKPOINT) as part:
            torch.save(state | {"optimiser": self.optimiser.state_dict()}, part)

    def _settings(self) -> str:
        """What a checkpoint must have been made with to be gone on with."""
        return repr((self.config, self.model.config, [len(indices) for indices in self.of_source]))

    def _resume(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / CHECKPOINT
        if not path.exists():
            (self.folder / METRICS).unlink(missing_ok=True)
            return
        state = torch.load(path, weights_only=True)
        if state["settings"] != self._settings():
            raise ParameterError(
                f"The folder {self.folder} holds a training with other settings; name another one, or empty it."
            )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])


def trained(
    data: TrainingSet,
    sizes: ModelConfig,
    config: TrainConfig,
    folder: Path | None = None,
    progress: Progress = silent,
) -> TwoTowers:
    """A new model, trained; the same for the same data, sizes and config."""
    seed_everything(config.seed)
    return Training(TwoTowers(sizes), data, config, folder).run(progress)


@dataclass(frozen=True)
class Trainer:
    """Trains on any set with any seed, as the command ``train`` does; it can be pickled.

    Attributes:
        sizes: of the towers.
        config: of the training, to whose seed the one that is asked for is added.
    """

    sizes: ModelConfig
    config: TrainConfig

    def __call__(self, data: TrainingSet, seed: int) -> TwoTowers:
        """Train on a set."""
        return trained(data, self.sizes, replace(self.config, seed=self.config.seed + seed))


def stanza(path: Path) -> str:
    """What a manifest says of a file of weights."""
    return f'[[files]]\npath = "{path.name}"\nsha256 = "{sha256_of(path)}"\nbytes = {path.stat().st_size}\n'


def _optimiser(model: TwoTowers, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over the towers, and over the space of words at its own rate."""
    words = list(model.words.parameters())
    towers = [parameter for name, parameter in model.named_parameters() if not name.startswith("words.")]
    groups = [
        {"params": towers, "highest": config.learning_rate, "weight_decay": config.weight_decay},
        {"params": words, "highest": _WORDS_LEARNING_RATE, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _rows(
    batch: tuple[Mapping[str, Tensor], Mapping[str, Tensor]], rows: NDArray[np.int64]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    features, present = batch
    return {name: values[rows] for name, values in features.items()}, {n: there[rows] for n, there in present.items()}


def _weak_labels(
    model: TwoTowers, data: TrainingSet
) -> tuple[tuple[dict[str, Tensor], dict[str, Tensor]], Tensor, Tensor] | None:
    """Captioned films, the likeness (M, N) of their captions to the words of every track, and which have words."""
    if data.captions is None or not len(data.captions):
        return None
    words = [row.get("words") for row in data.music]
    has_words = torch.tensor([vector is not None for vector in words])
    if not has_words.any():
        return None
    size = data.captions.shape[1]
    table = np.stack([np.zeros(size, np.float32) if vector is None else vector for vector in words])
    likeness = torch.from_numpy(data.captions.astype(np.float32) @ table.T)
    return batch_of(data.captioned, model.video.modalities), likeness, has_words


def _schedule(done: float) -> float:
    """A tenth of warm-up, then half a cosine."""
    return max(done / 0.1, 0.02) if done < 0.1 else max(0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9)), 0.001)
