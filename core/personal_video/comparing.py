"""The comparison of `evaluation` by several workers: each takes a method, and answers all questions with it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.bulk import ALONE, Workers, results_of_all
from core.encoders.image import image_encoder
from core.encoders.text import MeanPooledEncoder
from core.personal_video.assessment import Figures
from core.personal_video.backgrounds import read_photographs
from core.personal_video.composing import Material
from core.personal_video.evaluation import EvaluateConfig, Evaluation
from core.personal_video.flow import SampleConfig
from core.personal_video.subjects import read_pack
from core.personal_video.trained import load_network
from core.runtime import Progress, silent

Loaded = tuple[Evaluation, Material]


@dataclass(frozen=True)
class Sources:
    """Where subjects and photographs lie; every worker reads them itself.

    Attributes:
        pack: subjects, as the command ``pack`` wrote them.
        photographs: a folder of them, or None.
    """

    pack: Path
    photographs: Path | None = None

    def read(self) -> Material:
        """All of them.

        Raises:
            MediaError: the pack cannot be read.
        """
        return Material(read_pack(self.pack), read_photographs(self.photographs) if self.photographs else [])


@dataclass(frozen=True)
class Load:
    """Loads what the comparison needs: networks, encoders, subjects.

    Attributes:
        model: weights; the profile's own when None.
        sources: of subjects and photographs.
        config: how much is measured.
        sample: how videos are made.
    """

    model: Path | None
    sources: Sources
    config: EvaluateConfig
    sample: SampleConfig

    def __call__(self) -> Loaded:
        """Load all of it.

        Raises:
            WeightsError: weights are missing or wrong.
            MediaError: the pack cannot be read.
        """
        encoders = MeanPooledEncoder("minilm"), image_encoder("efficientnet_lite0"), image_encoder("efficientnet_lite2")
        return Evaluation(load_network(self.model), encoders, self.config, self.sample), self.sources.read()


@dataclass(frozen=True)
class MethodJob:
    """What a worker does: it takes a method's name, and gives its figures over all questions."""

    load: Callable[[], Loaded]

    def __call__(self) -> Callable[[str], Figures]:
        """Load networks, encoders and subjects, and put the questions."""
        evaluation, material = self.load()
        return evaluation.measuring(material)


def compare(
    load: Callable[[], Loaded], config: EvaluateConfig, progress: Progress = silent, how: Workers = ALONE
) -> dict[str, Figures]:
    """The figures of all methods, by name.

    Args:
        load: loads what is compared, and on what; it can be pickled where workers are to share the methods.
        config: the same that ``load`` gives the comparison.
        progress: told of every method.
        how: how many workers; the figures are the same however many there are.

    Raises:
        ParameterError: a method cannot be measured.
    """
    return dict(zip(config.methods, results_of_all(MethodJob(load), config.methods, progress, how), strict=True))
