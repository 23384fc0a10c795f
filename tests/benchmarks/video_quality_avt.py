"""How the quality score ranks encodes that people have judged: Big Buck Bunny of AVT-VQDB-UHD-1, made again.

``python -m tests.benchmarks.video_quality_avt FILM TABLE --out FOLDER`` encodes an excerpt of the film with the codec,
height and bitrate of each row of the table (columns video, src, MOS, video_target_bitrate, video_height, video_codec),
scores the files, and prints the rank correlation with the table's opinions, beside BRISQUE, NIQE, and bitrate alone.
It stays a comparison by analogy: excerpt, master, frame rate and encoders are not those of the test.
"""

import argparse
import csv
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from core.encoders.natural_scenes import brisque, niqe
from core.media import VideoReader
from core.media.whole_file import written_whole
from core.video_quality import QualityConfig, VideoQuality
from core.video_quality.metrics import plcc, srcc
from core.video_quality.student import QualityScorer

SOURCE = "bigbuck_bunny_8bit"
CODECS = {
    "h264": ["-c:v", "libx264", "-preset", "veryfast"],
    "hevc": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"],
    "vp9": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
}
SCREENS = (0, 1080, 2160)


@dataclass(frozen=True)
class Encode:
    """One row of the table: height in rows, bitrate in kbit/s, codec, mean opinion 1 to 5."""

    height: int
    kbps: float
    codec: str
    mos: float

    @property
    def name(self) -> str:
        return f"{self.codec}-{self.height}-{self.kbps:.0f}.mkv"


def read_table(path: Path) -> list[Encode]:
    """The encodes of Big Buck Bunny."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["src"] == SOURCE]
    return [
        Encode(int(float(r["video_height"])), float(r["video_target_bitrate"]), r["video_codec"], float(r["MOS"]))
        for r in rows
    ]


def encode(film: Path, row: Encode, start_s: float, length_s: float, out: Path) -> None:
    """Write the excerpt as the row says."""
    if out.exists():
        return
    rate = f"{row.kbps:.0f}k"
    ffmpeg = [str(imageio_ffmpeg.get_ffmpeg_exe()), "-v", "error", "-y", "-ss", str(start_s), "-t", str(length_s)]
    shape = ["-an", "-vf", f"scale=-2:{row.height}:flags=bicubic", "-pix_fmt", "yuv420p"]
    with written_whole(out) as part:
        target = ["-b:v", rate, "-maxrate", rate, "-bufsize", f"{2 * row.kbps:.0f}k", "-f", "matroska", str(part)]
        subprocess.run([*ffmpeg, "-i", str(film), *shape, *CODECS[row.codec], *target], check=True)


def peers(path: Path) -> tuple[float, float]:
    """Negated BRISQUE and NIQE of the picture in the middle."""
    with VideoReader(path) as reader:
        frames = list(reader.frames_at_rate(1, reader.info.duration_s / 2, reader.info.duration_s / 2 + 1))
    return -brisque(frames[0].pixels), -niqe(frames[0].pixels)


def main() -> None:
    """Encode, score, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("film", type=Path)
    options.add_argument("table", type=Path)
    options.add_argument("--out", type=Path, required=True, help="folder for the encodes")
    options.add_argument("--model", type=Path, help="weights of a student (default: the profile's own)")
    options.add_argument("--start", type=float, default=60.0, help="where the excerpt begins, in seconds")
    options.add_argument("--length", type=float, default=4.0, help="its length in seconds")
    told = options.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    rows, scorer = read_table(told.table), QualityScorer(told.model)
    methods: dict[str, list[float]] = {}
    for row in rows:
        file = told.out / row.name
        encode(told.film, row, told.start, told.length, file)
        found = dict(zip(("BRISQUE", "NIQE"), peers(file), strict=True)) | {"bitrate": row.kbps}
        for screen in SCREENS:
            score = VideoQuality(scorer, QualityConfig(display_height=screen)).score(file).score
            found[f"student, {f'{screen} rows' if screen else 'own size'}"] = score
        for method, value in found.items():
            methods.setdefault(method, []).append(value)
        print(row.name, f"{row.mos:.2f}", {name: round(value, 2) for name, value in found.items()}, flush=True)
    mos = np.array([row.mos for row in rows])
    print("| method | SRCC | PLCC |\n| --- | --- | --- |")
    for method, values in methods.items():
        print(f"| {method} | {srcc(np.array(values), mos):.3f} | {plcc(np.array(values), mos):.3f} |")


if __name__ == "__main__":
    main()
