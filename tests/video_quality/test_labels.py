"""VMAF labels: the map to opinions rises, and the measuring agrees with what must hold of any clip."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from core.errors import ParameterError
from core.video_quality.distortions import Scene, by_name
from core.video_quality.labels import opinion_of_vmaf, vmaf


def test_opinions_rise_with_vmaf_and_stay_on_the_scale() -> None:
    told = [opinion_of_vmaf(value) for value in range(-10, 120, 5)]
    assert told == sorted(told)
    assert told[0] >= 1 and told[-1] <= 5


def test_a_clip_against_itself_is_near_the_top_and_blur_brings_it_down(scene: Scene) -> None:
    told = [vmaf(scene.pictures, scene.pictures, scene.frame_rate)]
    told += [vmaf(scene.pictures, by_name["gaussian_blur"].apply(scene, s), scene.frame_rate) for s in (4, 12)]
    assert told[0] > 90
    assert told == sorted(told, reverse=True) and told[1] - told[2] > 10


def test_the_figure_is_that_of_the_command_line_on_the_same_pictures(scene: Scene, tmp_path: Path) -> None:
    made = by_name["mpeg4"].apply(scene, 17)
    for name, clip in (("clean", scene.pictures), ("made", made)):
        (tmp_path / f"{name}.rgb").write_bytes(np.ascontiguousarray(clip).tobytes())
    height, width = made[0].shape[:2]
    kind = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "12"]
    told = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *kind, "-i", "made.rgb", *kind, "-i", "clean.rgb",
         "-lavfi", "[0]format=yuv420p[a];[1]format=yuv420p[b];[a][b]libvmaf", "-f", "null", "-"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    every_picture = float(told.stderr.rsplit("VMAF score: ", 1)[1].split()[0])
    assert vmaf(scene.pictures, made, scene.frame_rate) == pytest.approx(every_picture, abs=2)


def test_clips_of_different_length_or_size_are_refused(scene: Scene) -> None:
    with pytest.raises(ParameterError, match="differ in length or size"):
        vmaf(scene.pictures, scene.pictures[:-1], scene.frame_rate)
    with pytest.raises(ParameterError, match="differ in length or size"):
        vmaf(scene.pictures, [picture[:-2] for picture in scene.pictures], scene.frame_rate)
