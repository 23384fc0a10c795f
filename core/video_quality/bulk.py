"""Scoring a folder or a bucket of videos with many workers: processes of this machine, or a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.bulk import Workers, run_all
from core.runtime import Progress, silent
from core.video_quality.config import QualityConfig
from core.video_quality.pipeline import ScoreReport, VideoQuality


@dataclass(frozen=True)
class ScoreJob:
    """What a worker does: it takes the address of a video and gives its report."""

    config: QualityConfig

    def __call__(self) -> Callable[[str], ScoreReport]:
        """Load the network."""
        quality = VideoQuality(config=self.config)
        return lambda address: next(quality.score_each([address]))


def score_all(
    config: QualityConfig, addresses: Sequence[str], how: Workers, progress: Progress = silent
) -> Iterator[ScoreReport]:
    """Score videos in the order in which they are finished; a bad file and a killed worker cost only themselves.

    Args:
        config: how films are looked at.
        addresses: files, or objects of a bucket, as `core.media.all_files` lists them.
        how: how many workers, and where.
        progress: told how many are finished; of a lone worker also how far a film is.

    Raises:
        CancelledError: ``progress`` says so.
        ParameterError: there is no such cluster, or Ray is not installed.
        WeightsError: the network's weights are missing or wrong.
    """
    if how.alone:
        yield from VideoQuality(config=config).score_each(addresses, progress)
        return
    for outcome in run_all(ScoreJob(config), addresses, progress, how.workers, how.cluster):
        yield outcome.result or ScoreReport(outcome.item, error=outcome.error)
