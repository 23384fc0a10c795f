"""What lip-sync costs: its stages apart, beside real time and beside the bare network; and the same film once more.

``python -m tests.benchmarks.lip_sync_speed [FILM SPEECH] [--model FILE] [--rounds 3]``

Prints a Markdown table: clock seconds for a second of film, and how often the bare network goes into it. That one
makes the same number of mouths from groups in memory. The second job of a round finds the faces in the cache. Weights
do not change the cost; without ``--model`` the network is an untrained one. Without a film, eight seconds of a drawn
face at 25 pictures a second are made, 512 × 512, and the sound of a synthetic voice.
"""

import argparse
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import torch

from core.lip_sync import LipSync, LipSyncResult, SyncRequest
from core.lip_sync.animator import FaceAnimator
from core.lip_sync.articulation import articulation
from core.lip_sync.cartoons import cartoon
from core.lip_sync.generator import Given, MouthNetwork
from core.lip_sync.inner_mouth import MouthLook
from core.lip_sync.network import load_network, new_network
from core.lip_sync.voices import speak
from core.media import AudioClip, write_audio, write_video
from core.runtime import place, placement
from tests.benchmarks.video_search import table

RATE, LENGTH_S, SIDE_PX = 25, 8, 512
TEXT = "Every morning the baker puts fresh bread in the window, and people from all over the valley come and buy it."


def made(folder: Path) -> tuple[Path, Path]:
    """A drawn face that talks, and speech for it."""
    spoken = speak(TEXT)
    count = RATE * LENGTH_S
    picture, mesh = cartoon(1, SIDE_PX)
    animator = FaceAnimator(picture, mesh, MouthLook())
    film, speech = folder / "face.mp4", folder / "speech.wav"
    frames = (animator.frame(mouth).picture for mouth in articulation(spoken.phones, count))
    write_video(film, frames, Fraction(RATE))
    length = LENGTH_S * spoken.sample_rate
    wave = torch.nn.functional.pad(torch.from_numpy(spoken.wave)[:length], (0, max(0, length - len(spoken.wave))))
    write_audio(speech, AudioClip(wave.numpy()[:, None], spoken.sample_rate))
    return film, speech


@torch.inference_mode()
def bare(network: MouthNetwork, mouths: int, batch: int = 16) -> float:
    """Clock seconds in which the network makes so many mouths."""
    groups, windows = torch.rand(batch, 5, 3, 128, 128), torch.zeros(batch, 20, 20)
    given = Given(groups[:, 2], groups[:, 0], torch.full((batch, 25, 2), 64.0), torch.full((batch, 25, 2), 64.0))
    begin = time.perf_counter()
    for _ in range(-(-mouths // batch)):
        with placement().autocast():
            network(groups, windows, given)
    return time.perf_counter() - begin


def rows(name: str, jobs: list[LipSyncResult], network_s: list[float]) -> list[list[str]]:
    """Each stage and the whole, as medians over the rounds."""
    duration_s = jobs[0].duration_s
    lines = []
    for stage in [*jobs[0].stages_s, "all"]:
        told = [job.seconds_taken if stage == "all" else job.stages_s[stage] for job in jobs]
        ratios = [taken / alone for taken, alone in zip(told, network_s, strict=True)]
        lines.append([name, stage, f"{statistics.median(told) / duration_s:.3f}", f"{statistics.median(ratios):.2f} "
                      f"({min(ratios):.2f} to {max(ratios):.2f})"])  # fmt: skip
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="a film and a sound")
    parser.add_argument("--model", type=Path, help="weights of a network")
    parser.add_argument("--rounds", type=int, default=3, help="how often each job is timed (default: 3)")
    arguments = parser.parse_args()
    network = load_network(arguments.model) if arguments.model else new_network()
    place(network, placement())
    first, second, alone = [], [], []
    with tempfile.TemporaryDirectory() as name:
        film, speech = arguments.files or made(Path(name))
        for number in range(-1, arguments.rounds):  # the first round warms up
            cache = Path(name) / f"cache{number}"
            jobs = [
                LipSync(cache=cache, network=network).sync(SyncRequest(film, speech), Path(name) / f"out{again}.mp4")
                for again in range(2)
            ]
            bare_s = bare(network, jobs[0].frames_changed)
            if number >= 0:
                first.append(jobs[0])
                second.append(jobs[1])
                alone.append(bare_s)
    lines = [
        ["", "the bare network", f"{statistics.median(alone) / first[0].duration_s:.3f}", "1.00"],
        *rows("first run", first, alone),
        *rows("second run", second, alone),
    ]
    print(table(["", "stage", "clock s per s of film", "over the bare network"], lines))


if __name__ == "__main__":
    main()
