"""Sound to vectors: music tags and the neighbourhood of sounds.

Embedded: musicnn (core/encoders/musicnn.py). Hub: the audio tower of CLAP, through transformers.
"""

import json
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoders import musicnn
from core.errors import ClipTooShortError, ParameterError
from core.memory import Batches, Resident, house
from core.runtime import Profile, current_profile, loading_alone, place, placement
from core.weights import find_manifest, load_tensors, weights_path

Wave = NDArray[np.float32]
Vectors = NDArray[np.float32]

BATCH = 8
"""Patches in the first batch, and on a CPU in each; see `core.memory.Batches`."""
DEFAULT_NAMES: dict[Profile, str] = {"embedded": "musicnn_msd", "hub": "clap"}


class AudioEncoder(Protocol):
    """A frozen network that turns sound into vectors, one for every patch of a fixed length.

    Attributes:
        name: of its weights.
        version: of its weights; vectors of two versions must not be compared.
        dimensions: length of a vector.
        sample_rate: of the sound that it takes.
        patch_s: how much time one vector stands for.
    """

    name: str
    version: str
    dimensions: int
    sample_rate: int
    patch_s: float

    def encode(self, wave: Wave) -> Vectors:
        """Turn sound (N,), mono in [-1, 1], into vectors (patches, dimensions), in the order of time.

        Patches follow each other without a gap; what is left over at the end is dropped, and sound shorter than one
        patch is repeated until it fills one.

        Raises:
            ParameterError: ``wave`` has another shape or dtype.
            ClipTooShortError: it is too short even for one column of the spectrum.
        """
        ...


@dataclass(frozen=True)
class MusicTags:
    """What musicnn says of a sound, patch by patch.

    Attributes:
        names: of the tags, in the order of the columns.
        probabilities: (patches, tags), 0 to 1. Those of moods are small: compare z-scores across a library.
        vectors: (patches, 200), from the layer before.
    """

    names: tuple[str, ...]
    probabilities: Vectors
    vectors: Vectors


class MusicnnEncoder:
    """An `AudioEncoder` on musicnn, with its 50 tags beside it.

    Args:
        collection: ``msd`` (tags of the Million Song Dataset: genres, moods, decades) or ``mtt`` (MagnaTagATune:
            instruments, voices, tempo).

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    dimensions = musicnn.DIMENSIONS
    sample_rate = musicnn.SAMPLE_RATE
    patch_s = musicnn.PATCH_FRAMES * musicnn.HOP / musicnn.SAMPLE_RATE

    def __init__(self, collection: str = "msd") -> None:
        self.name = f"musicnn_{collection}"
        self.version = find_manifest(self.name).revision
        self.tag_names = musicnn_tags(collection)
        network = musicnn.Musicnn(len(self.tag_names))
        network.load_state_dict(load_tensors(self.name, f"{self.name}.safetensors"))
        self._placement = placement(low_precision=False)
        self._batches = Batches(self.name, self._placement.device, BATCH)
        self._network = place(network, self._placement)

    def encode(self, wave: Wave) -> Vectors:
        """Turn sound into vectors; see `AudioEncoder`."""
        return self.tags(wave).vectors

    def tags(self, wave: Wave) -> MusicTags:
        """Tag probabilities and vectors of sound as in `encode`."""
        _check_wave(wave, shortest=musicnn.FFT_SIZE // 2 + 1)
        with torch.inference_mode():
            patches = musicnn.to_patches(musicnn.log_mel(torch.from_numpy(wave)))
            answers = self._batches.run(len(patches), lambda part: self._answer(patches[part]))
            probabilities, vectors = (torch.cat(parts).numpy() for parts in zip(*answers, strict=True))
        return MusicTags(self.tag_names, probabilities, vectors)

    def _answer(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        probabilities, vectors = self._network(patches.to(self._placement.device))
        return probabilities.cpu(), vectors.cpu()


def musicnn_tags(collection: str = "msd") -> tuple[str, ...]:
    """The names of the tags of `MusicnnEncoder`, in the order of their columns, without loading the network.

    Raises:
        WeightsError: they are missing or wrong.
    """
    return tuple(json.loads(weights_path(f"musicnn_{collection}", f"tags_{collection}.json").read_text("utf-8")))


class ClapEncoder:
    """An `AudioEncoder` on the audio tower of CLAP and its projection; vectors have unit length.

    Source: Wu et al., "Large-Scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption
    Augmentation", 2023. The unfused network takes ten seconds at a time.

    Deviation: longer sound is cut into patches here, where the processor would take ten seconds of it at random.

    Args:
        name: of the weights.
        low_precision: compute in bfloat16 where the hardware is fast at it.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self, name: str = "clap", low_precision: bool = True) -> None:
        folder = weights_path(name)
        self.name = name
        self.version = find_manifest(name).revision
        with loading_alone():
            from transformers import AutoFeatureExtractor, ClapModel

            self._extract: Any = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
            model = ClapModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self.dimensions: int = model.config.projection_dim
        self.sample_rate: int = self._extract.sampling_rate
        self.patch_s: float = self._extract.nb_max_samples / self.sample_rate
        self._placement = placement(low_precision)
        self._batches = Batches(name, self._placement.device, BATCH)
        self._network: Resident = house(model, self._placement, name)

    def encode(self, wave: Wave) -> Vectors:
        """Turn sound into vectors; see `AudioEncoder`."""
        _check_wave(wave, shortest=1)
        length: int = self._extract.nb_max_samples
        patches = [wave[i : i + length] for i in range(0, max(1, len(wave) - length + 1), length)]
        with self._network.in_use() as network:
            return np.concatenate(self._batches.run(len(patches), lambda part: self._encode(network, patches[part])))

    def _encode(self, network: Any, patches: list[Wave]) -> Vectors:
        inputs = self._extract(
            patches, sampling_rate=self.sample_rate, truncation="rand_trunc", padding="repeatpad", return_tensors="pt"
        )
        with torch.inference_mode(), self._placement.autocast():
            features = inputs["input_features"].to(self._placement.device)
            vectors = network.get_audio_features(input_features=features).pooler_output
        return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()


def audio_encoder(name: str | None = None, profile: Profile | None = None) -> AudioEncoder:
    """Load an encoder: the one named, or that of the profile (this process's own when None).

    Raises:
        WeightsError: there are no such weights, or they are missing or wrong.
    """
    name = name or DEFAULT_NAMES[profile or current_profile()]
    if name.startswith("musicnn_"):
        return MusicnnEncoder(name.removeprefix("musicnn_"))
    return ClapEncoder(name)


def _check_wave(wave: Wave, shortest: int) -> None:
    if wave.dtype != np.float32 or wave.ndim != 1:
        raise ParameterError(f"The sound is {wave.dtype} {wave.shape}; give float32 of shape (N,), mono.")
    if len(wave) < shortest:
        raise ClipTooShortError(f"The sound has {len(wave)} samples; give at least {shortest}.")
