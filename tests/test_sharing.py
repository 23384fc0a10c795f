"""Several processes train as one does: what `accelerate launch` starts, on gloo over loopback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import trainings
from tests.apps.conftest import free_port

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 300


def launched(processes: int, *words: object) -> None:
    """Run a module in so many processes on CPUs.

    `--multi_gpu` starts several processes, whatever they compute on; with ``--cpu`` accelerate starts one only, and
    leaves the rest to mpirun.
    """
    flags = ["--multi_gpu", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    flags += ["--num_processes", str(processes), "--main_process_port", str(free_port())]
    subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *flags, "-m", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        timeout=PATIENCE_S,
        check=True,
    )


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    trainings.main(tmp_path / "one")
    launched(2, "tests.trainings", tmp_path / "two")
    one, two = trainings.records(tmp_path / "one"), trainings.records(tmp_path / "two")
    assert [row.pop("rows") for row in one["line"]] == [16] * 12
    assert [row.pop("rows") for row in two["line"]] == [8] * 12
    for name, losses in trainings.LOSSES.items():
        assert len(one[name]) == len(two[name]) > 1
        for loss in losses:
            alone, shared = ([row[loss] for row in rows] for rows in (one[name], two[name]))
            assert len(set(alone)) == len(alone), "every step is another"
            assert shared == pytest.approx(alone, rel=5e-4, abs=2e-5), (name, loss)
    for name in ("line", "music_matching", "video_search", "video_quality"):
        assert one[name][-1]["loss"] < one[name][0]["loss"]
