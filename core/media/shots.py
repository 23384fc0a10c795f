"""Where one shot ends and the next begins."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from core.media.limits import DEFAULT_LIMITS, MediaLimits
from core.media.timebase import Seconds
from core.media.video import VideoReader

_LOOK_SIDE_PX = 256


def shot_boundaries(
    path: str | Path,
    threshold: float = 27.0,
    shortest_s: float = 0.4,
    end_s: Seconds | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> list[Fraction]:
    """The times at which a new shot begins, ascending, 0 not among them.

    PySceneDetect's ContentDetector (mean difference of hue, saturation and brightness between neighbouring pictures)
    on pictures of at most 256 pixels a side; it is given frame numbers, and the times are the frames' own.

    Args:
        path: a film or an animation.
        threshold: the difference, 0 to 255, from which on it is a cut.
        shortest_s: cuts that follow sooner are merged into the one before.
        end_s: where to stop looking; None looks at all of it.
        limits: bounds on the file.

    Raises:
        MediaError: the file cannot be read.
    """
    from scenedetect import ContentDetector, FrameTimecode  # 0.3 s to import, and only needed here

    with VideoReader(path, _LOOK_SIDE_PX, limits=limits) as reader:
        rate = reader.info.frame_rate
        detector = ContentDetector(threshold, max(1, round(shortest_s * rate)))
        times, cuts = [], []
        for number, frame in enumerate(reader.frames()):
            if end_s is not None and frame.time_s >= end_s:
                break
            times.append(frame.time_s)
            blue_first = np.ascontiguousarray(frame.pixels[..., ::-1])
            cuts += detector.process_frame(FrameTimecode(number, rate), blue_first)
        if times:
            cuts += detector.post_process(FrameTimecode(len(times) - 1, rate))
    return sorted({times[cut.frame_num] for cut in cuts if 0 < cut.frame_num < len(times)})
