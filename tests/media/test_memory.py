"""Bounded memory: a film larger than the memory allowed, read in a process of its own.

The peak is the kernel's ``VmHWM``; ``getrusage`` would tell the parent's peak, which a new process inherits.
"""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.media import EncodeOptions, write_video

ROOT = Path(__file__).parents[2]
FRAMES = 120
FULL_HD_MB = 1920 * 1080 * 3 / 2**20
READERS = {
    "every frame": "for frame in reader.frames(): pass",
    "at a rate": "for frame in reader.frames_at_rate(5): pass",
    "one jump": "next(reader.frames_at([29]))",
    "spans": "[frame.luma() and None for span in reader.spans(range(30)) for frame in span]",
}
PROGRAM = """
import sys
from pathlib import Path
from core.media import VideoReader
with VideoReader(sys.argv[1]) as reader:
    {work}
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures of 1080p over 30 s, 712 MB once decoded."""
    path = tmp_path_factory.mktemp("memory") / "film.mp4"
    plain = (np.full((1080, 1920, 3), n, np.uint8) for n in range(FRAMES))
    write_video(path, plain, Fraction(4), options=EncodeOptions(preset="ultrafast"))
    return path


@pytest.mark.parametrize("work", READERS)
def test_reading_a_film_takes_less_memory_than_its_frames(long_film: Path, work: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(work=READERS[work]), str(long_film)]
    peak_kb = int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    assert peak_kb / 1024 < 70 * FULL_HD_MB  # 415 MB: interpreter, libraries, the decoder's threads, a few frames
