"""Two towers, one for films and one for music, into one space (METHODS 1, inference, step 3).

Source: METHODS 1; towers over frozen features as in Pretet et al., "Cross-modal music-video recommendation: a study of
design choices", 2021. Ours: a modality that is missing is masked. Each modality has a branch; the branches of those
that are there are averaged, and for each that is not, a learned vector says so. Nothing is filled with zeros.

Beside what they learn, the directions of words stand in the common space: what is seen and told in a film against what
is sung, called and heard in a track (`core.music_matching.word_space`). Where a side has none of it, only what the
towers learned counts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ParameterError, check_ranges
from core.music_matching.features import Vectors
from core.music_matching.word_space import WordSpace, without
from core.weights import read_trained

VIDEO_MODALITIES = {"image": 1280, "colour": 8, "seen": 384, "words": 384}
MUSIC_MODALITIES = {"sound": 400, "tags": 100, "rhythm": 6, "words": 384}
Modalities = Mapping[str, Vectors | None]


@dataclass(frozen=True)
class ModelConfig:
    """How large the towers are.

    Raises:
        ParameterError: a value is out of its range.
    """

    width: int = field(default=128, metadata={"help": "width of the branches, 8 to 2048"})
    dimensions: int = field(default=64, metadata={"help": "numbers of a vector of the common space, 8 to 1024"})
    dropout: float = field(default=0.3, metadata={"help": "dropout inside the towers, 0 to 0.9"})
    words_share: float = field(default=0.99, metadata={"help": "weight of words against the towers, 0 to 1"})
    missing: float = field(default=0.25, metadata={"help": "share of modalities left out in training, 0 to 0.9"})

    def __post_init__(self) -> None:
        check_ranges(self, ("width", 8, 2048), ("dimensions", 8, 1024), ("dropout", 0, 0.9), ("missing", 0, 0.9),
                     ("words_share", 0, 1))  # fmt: skip


class Tower(nn.Module):
    """One side: features of several modalities, some of them missing, to unit vectors.

    Args:
        modalities: names with their numbers of features.
        config: of the model.
    """

    def __init__(self, modalities: Mapping[str, int], config: ModelConfig) -> None:
        super().__init__()
        self.modalities, self.missing = dict(modalities), config.missing
        for name, size in modalities.items():
            self.register_buffer(f"mean_{name}", torch.zeros(size))
            self.register_buffer(f"deviation_{name}", torch.ones(size))
        self.branches = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Dropout(config.dropout), nn.Linear(size, config.width), nn.GELU())
                for name, size in modalities.items()
            }
        )
        self.absent = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(config.width)) for name in modalities})
        self.head = nn.Sequential(
            nn.LayerNorm(config.width), nn.Dropout(config.dropout), nn.Linear(config.width, config.dimensions)
        )

    def fit_scale(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> None:
        """Take mean and deviation of each modality from those rows of a training set in which it is there."""
        for name in self.modalities:
            rows = features[name][present[name]]
            if len(rows) > 1:
                getattr(self, f"mean_{name}").copy_(rows.mean(0))
                getattr(self, f"deviation_{name}").copy_(rows.std(0) + 1e-3)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Map features (B, n) of each modality, and whether it is there (B,), to unit vectors (B, dimensions).

        In training further modalities are left out at random, though never the last one of a row. What stands in
        ``features`` where nothing is there has no influence.
        """
        masks = self._thinned(torch.stack([present[name] for name in self.modalities], 1))
        total, count = torch.zeros(()), masks.sum(1, keepdim=True).clamp(min=1)
        for column, name in enumerate(self.modalities):
            scaled = (features[name] - getattr(self, f"mean_{name}")) / getattr(self, f"deviation_{name}")
            here = masks[:, column : column + 1]
            branch = self.branches[name](torch.where(here, scaled, torch.zeros(())))
            total = total + torch.where(here, branch / count, self.absent[name])
        return F.normalize(self.head(total), dim=1)

    def _thinned(self, masks: Tensor) -> Tensor:
        """Masks (B, modalities) with more of them false, in training."""
        if not self.training or not self.missing:
            return masks
        kept = masks & (torch.rand(masks.shape) >= self.missing)
        return torch.where(kept.any(1, keepdim=True), kept, masks)


class TwoTowers(nn.Module):
    """The model: a tower for films, one for music, the temperature of their similarities, and the space of words.

    Args:
        config: how large it is.
        video: modalities of films with their sizes.
        music: modalities of tracks with their sizes.
    """

    def __init__(
        self,
        config: ModelConfig,
        video: Mapping[str, int] = VIDEO_MODALITIES,
        music: Mapping[str, int] = MUSIC_MODALITIES,
    ) -> None:
        super().__init__()
        self.config = config
        self.video, self.music = Tower(video, config), Tower(music, config)
        self.log_scale = nn.Parameter(torch.tensor(np.log(10.0), dtype=torch.float32))
        self.words = WordSpace(music["words"], music.get("tags", 0), config.missing)

    @property
    def scale(self) -> Tensor:
        """One over the temperature, at most 50."""
        return self.log_scale.clamp(max=float(np.log(50.0))).exp()

    @property
    def dimensions(self) -> int:
        """Numbers of a vector of the common space: first those of the towers, then those of words."""
        return self.config.dimensions + self.music.modalities["words"]

    def embed_video(self, rows: Sequence[Modalities]) -> Vectors:
        """Unit vectors (N, `dimensions`) of films."""
        return self._embed(self.video, rows)

    def embed_music(self, rows: Sequence[Modalities]) -> Vectors:
        """Unit vectors (N, `dimensions`) of tracks, or of parts of them."""
        return self._embed(self.music, rows)

    @torch.no_grad()
    def _embed(self, tower: Tower, rows: Sequence[Modalities]) -> Vectors:
        self.eval()
        batch = batch_of(rows, tower.modalities)
        learned = tower(*batch)
        if tower is self.video:
            words = without(self.words.films(batch), self.words.usual_film)
        else:
            words = without(self.words.tracks(batch), self.words.usual_track)
        share = self.config.words_share * words.any(1, keepdim=True)
        return torch.cat([torch.sqrt(1 - share) * learned, torch.sqrt(share) * words], 1).numpy()


def batch_of(rows: Sequence[Modalities], sizes: Mapping[str, int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rows of modalities as features (B, n) and masks (B,); rows without a modality hold zeros, which are masked.

    Raises:
        ParameterError: a modality has another size.
    """
    features, present = {}, {}
    for name, size in sizes.items():
        there = [row.get(name) is not None for row in rows]
        values = np.zeros((len(rows), size), np.float32)
        for index, row in enumerate(rows):
            vector = row.get(name)
            if vector is not None:
                if vector.shape != (size,):
                    raise ParameterError(f"The features {name} are {vector.shape}; this model takes ({size},).")
                values[index] = vector
        features[name], present[name] = torch.from_numpy(values), torch.tensor(there)
    return features, present


def save_model(model: TwoTowers, path: Path, facts: Mapping[str, str]) -> None:
    """Write a model as safetensors, matrices in float16, with its sizes and further facts in the metadata."""
    from safetensors.torch import save_file

    state = {
        name: (value.half() if value.ndim > 1 else value.float()).contiguous()
        for name, value in model.state_dict().items()
    }
    sizes = {"video": model.video.modalities, "music": model.music.modalities}
    save_file(state, path, {"config": json.dumps(asdict(model.config)), "sizes": json.dumps(sizes), **facts})


def load_model(path: Path) -> TwoTowers:
    """Read a model that `save_model` wrote."""
    state, told = read_trained(path)
    sizes = json.loads(told["sizes"])
    model = TwoTowers(ModelConfig(**json.loads(told["config"])), sizes["video"], sizes["music"])
    model.load_state_dict(state)
    return model.eval()
