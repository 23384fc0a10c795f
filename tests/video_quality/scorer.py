"""Stand-ins for the trained networks: they say of a second what can be read from its window with the naked eye."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.runtime import Progress, silent
from core.video_quality.config import QualityConfig
from core.video_quality.ensemble import Explanation
from core.video_quality.levels import distribution_of, mean_of
from core.video_quality.results import FAULTS
from core.video_quality.sampling import COURSE, Window
from core.video_quality.student import Verdict
from core.video_quality.watching import watch

REACH = 0.5


class Brightness:
    """Scores by brightness, 1 for black and 5 for white; a second in which nothing changes is frozen."""

    version = "brightness"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def describe(self, windows: Sequence[Window]) -> NDArray[np.float32]:
        self.batches.append(len(windows))
        unchanged = [window.course[:, COURSE.index("unchanged")].mean() for window in windows]
        return np.asarray([(w.views[2].mean() / 255, u) for w, u in zip(windows, unchanged, strict=True)], np.float32)

    def judge(self, features: NDArray[np.float32]) -> Verdict:
        score = float(1 + 4 * features[0])
        certainties = np.zeros(len(FAULTS), np.float32)
        certainties[FAULTS.index("freeze")] = features[1]
        band = max(1.0, score - REACH), min(5.0, score + REACH)
        return Verdict(distribution_of(score), band, certainties)


class Teachers:
    """A stand-in for the trained teachers: the brightness of the film, for which one counts the more the brighter."""

    def explain_file(self, path: Path, config: QualityConfig, progress: Progress = silent) -> Explanation:
        scorer = Brightness()
        score = mean_of(scorer.judge(scorer.describe(list(watch(path, config, progress))).mean(0)).distribution)
        return Explanation(score, tuple(distribution_of(score)), {"bright": (score - 1) / 4, "dark": (5 - score) / 4})
