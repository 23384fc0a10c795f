"""Labels for clips that nobody has judged: VMAF against the clean clip, brought to the scale of opinions.

VMAF (Li et al., Netflix 2016; model vmaf_v0.6.1) is computed by the ffmpeg binary of the package imageio-ffmpeg, which
is needed for this alone. The map from VMAF to a mean opinion is a power law fitted by least squares to the 410 encoded
videos of AVT-VQDB-UHD-1 (tests 1 to 3 of its table, Big Buck Bunny left out, frame rates of test 4 left out):
``1.35 + 3.48 · (VMAF / 100) ** 0.80``, with a residual of 0.49 opinion points.
"""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import MediaError, ParameterError

_BASE, _GAIN, _EXPONENT = 1.35, 3.48, 0.80
_EVERY = 2
"""Every second picture is measured."""


def opinion_of_vmaf(vmaf: float) -> float:
    """The mean opinion, 1 to 5, that goes with a VMAF from 0 to 100.

    >>> round(opinion_of_vmaf(100), 2), round(opinion_of_vmaf(20), 2)
    (4.83, 2.31)
    """
    return _BASE + _GAIN * (min(100.0, max(0.0, vmaf)) / 100) ** _EXPONENT


def vmaf(pristine: Sequence[NDArray[np.uint8]], distorted: Sequence[NDArray[np.uint8]], frame_rate: Fraction) -> float:
    """The mean VMAF, 0 to 100, of a clip against its clean original; every second picture is measured.

    Args:
        pristine: (H, W, 3), RGB, all of one size.
        distorted: as many, of the same size.
        frame_rate: pictures a second.

    Raises:
        ParameterError: the clips differ in length or size, or imageio-ffmpeg is not installed.
        MediaError: ffmpeg fails.
    """
    if len(pristine) != len(distorted) or pristine[0].shape != distorted[0].shape:
        raise ParameterError("The clips differ in length or size; give both frame by frame.")
    height, width = pristine[0].shape[:2]
    kind = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(frame_rate)]
    with tempfile.TemporaryDirectory(prefix="vmaf") as name:
        folder = Path(name)
        (folder / "pristine").write_bytes(np.ascontiguousarray(pristine).tobytes())
        measure = (
            f"[0:v]format=yuv420p[d];[1:v]format=yuv420p[p];"
            f"[d][p]libvmaf=log_fmt=json:log_path={folder / 'log'}:n_threads=1:n_subsample={_EVERY}"
        )
        command = [_ffmpeg(), "-v", "error", *kind, "-i", "pipe:0", *kind, "-i", str(folder / "pristine")]
        told = subprocess.run(
            [*command, "-lavfi", measure, "-f", "null", "-"],
            input=np.ascontiguousarray(distorted).tobytes(),
            capture_output=True,
            check=False,
        )
        if told.returncode:
            raise MediaError(f"ffmpeg cannot measure VMAF: {told.stderr.decode(errors='replace').strip()[-300:]}")
        report = json.loads((folder / "log").read_text())
    return float(report["pooled_metrics"]["vmaf"]["mean"])


def _ffmpeg() -> str:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ParameterError("VMAF needs imageio-ffmpeg: pip install imageio-ffmpeg.") from error
    return str(imageio_ffmpeg.get_ffmpeg_exe())
