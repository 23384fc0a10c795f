"""Films and tracks as directions in the space of words: what is told and seen against what is called, sung and heard.

Source: METHODS 1, "entity keywords, word vectors", compared as they are; Norouzi et al., "Zero-shot learning by convex
combination of semantic embeddings", 2014, for what is seen. What is heard is told in the same way: by the names of a
track's tags, each as far as the track has more of it than tracks have. What is usual among films, or among tracks, is
taken away from each side (Mu and Viswanath, "All-but-the-top", 2018): without it a few tracks are near to all films.

Two numbers are learned, by the loss of the towers: how much what is seen, and what is heard, counts against words.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Batch = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
"""Features (B, n) of each modality, and whether they are there (B,)."""
BEGIN = (-0.5, -1.5)
"""The two weights before training, before softplus: 0.47 of what is seen, 0.20 of what is heard."""
_SMALL = 1e-3


class WordSpace(nn.Module):
    """The part of the model that compares words.

    Args:
        size: numbers of a vector of words.
        tags: numbers of the modality ``tags`` of tracks, 0 where there is none.
        missing: share of sources left out in training.
    """

    heard: Tensor
    usual_seen: Tensor
    usual_tags: Tensor
    spread_tags: Tensor
    usual_film: Tensor
    usual_track: Tensor

    def __init__(self, size: int, tags: int, missing: float) -> None:
        super().__init__()
        self.missing = missing
        self.weights = nn.Parameter(torch.tensor(BEGIN))
        self.log_scale = nn.Parameter(torch.tensor(2.0))
        for name, shape in (("seen", size), ("tags", tags), ("film", size), ("track", size)):
            self.register_buffer(f"usual_{name}", torch.zeros(shape))
        self.register_buffer("spread_tags", torch.ones(tags))
        self.register_buffer("heard", torch.zeros(tags, size))

    def films(self, batch: Batch) -> Tensor:
        """What films tell and show, before what is usual is taken away: (B, size) at unit length, or zeros."""
        seen = _there(batch, "seen", self.usual_seen) if "seen" in batch[0] else None
        return self._joined(_there(batch, "words"), seen, 0)

    def tracks(self, batch: Batch) -> Tensor:
        """What tracks are called and how they sound, as `films`."""
        more = _there(batch, "tags", self.usual_tags) / self.spread_tags if "tags" in batch[0] else None
        return self._joined(_there(batch, "words"), None if more is None else more @ self.heard, 1)

    def similarities(self, films: Tensor, tracks: Tensor) -> Tensor:
        """For the loss: similarities (B, C) over the temperature; what is usual is that of these films and tracks."""
        return self.log_scale.exp() * without(films, usual(films)) @ without(tracks, usual(tracks)).T

    @torch.no_grad()
    def fit_scale(self, films: Batch, tracks: Batch, heard: Tensor | None) -> None:
        """Take what is usually seen and heard from a training set, and what tags mean: (tags, size)."""
        if heard is not None:
            self.heard.copy_(heard)
        if "seen" in films[0] and films[1]["seen"].any():
            self.usual_seen.copy_(films[0]["seen"][films[1]["seen"]].mean(0))
        if "tags" in tracks[0] and tracks[1]["tags"].any():
            rows = tracks[0]["tags"][tracks[1]["tags"]]
            self.usual_tags.copy_(rows.mean(0))
            self.spread_tags.copy_(rows.std(0, correction=0) + _SMALL)

    @torch.no_grad()
    def fit_usual(self, films: Batch, tracks: Batch) -> None:
        """Take what films and tracks usually say from a training set; after training, for it hangs on the weights."""
        self.eval()
        self.usual_film.copy_(usual(self.films(films)))
        self.usual_track.copy_(usual(self.tracks(tracks)))

    def _joined(self, told: Tensor, other: Tensor | None, place: int) -> Tensor:
        """Both sources at unit length, the other one weighed, joined to unit length; some left out in training."""
        kept = torch.ones(len(told), 2, dtype=torch.bool)
        if self.training and self.missing:
            drawn = torch.rand(kept.shape) >= self.missing
            kept = drawn | ~drawn.any(1, keepdim=True)
        if other is None:
            return F.normalize(told, dim=1)
        weight = F.softplus(self.weights[place])
        both = F.normalize(told, dim=1) * kept[:, :1] + weight * F.normalize(other, dim=1) * kept[:, 1:]
        return F.normalize(both, dim=1)


def usual(directions: Tensor) -> Tensor:
    """The mean (D,) of those directions (B, D) that say something."""
    return directions.sum(0) / directions.detach().any(1).sum().clamp(min=1)


def without(directions: Tensor, mean: Tensor) -> Tensor:
    """Directions (B, D) from a mean (D,), at unit length; those that say nothing stay zeros."""
    says = directions.detach().any(1, keepdim=True)
    return F.normalize(torch.where(says, directions - mean, torch.zeros(())), dim=1)


def _there(batch: Batch, name: str, mean: Tensor | None = None) -> Tensor:
    """A modality (B, n), from a mean if one is given; zeros where it is not there."""
    values = batch[0][name] if mean is None else batch[0][name] - mean
    return torch.where(batch[1][name][:, None], values, torch.zeros(()))
