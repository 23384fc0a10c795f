"""How a film's own sound goes with its own mouths, on films in which that is known."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import WeightsNotFoundError
from core.lip_sync import LipSync, SyncRequest, pipeline
from core.lip_sync.pace import Pace
from core.media import AudioClip, jpeg, probe, read_audio, replace_soundtrack, write_audio
from tests.lip_sync.stand_ins import PlainFinder, PlainNetwork, burst_file, head, head_film, plain

COUNT = 90


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three and a half seconds of the head, whose spot is as bright as its sound is loud."""
    folder = tmp_path_factory.mktemp("talking")
    silent = head_film(folder / "silent.mp4", map(head, range(COUNT)))
    plain().sync(SyncRequest(silent, burst_file(folder / "speech.wav", COUNT / 25)), folder / "talking.mp4")
    return folder / "talking.mp4"


def late(film: Path, out: Path, frames: int) -> Path:
    """The film with its sound so many frames later, or earlier below zero."""
    sound = read_audio(film)
    shift = round(frames * sound.sample_rate / 25)
    moved = np.pad(sound.samples, ((max(shift, 0), max(-shift, 0)), (0, 0)))[max(-shift, 0) :][: len(sound.samples)]
    write_audio(out.with_suffix(".wav"), AudioClip(np.ascontiguousarray(moved), sound.sample_rate))
    replace_soundtrack(film, out.with_suffix(".wav"), out)
    return out


@pytest.mark.parametrize("frames", [0, 4, -3])
def test_inspecting_measures_by_how_much_the_sound_is_late(talking: Path, tmp_path: Path, frames: int) -> None:
    film = late(talking, tmp_path / "late.mp4", frames)
    found = plain().inspect(film)
    assert found.av_offset_frames == frames and found.sync_unmeasured == ""
    assert found.sync_confidence > 0.05


def test_what_cannot_be_measured_is_told_and_nothing_fails(
    talking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untrained() -> PlainNetwork:
        raise WeightsNotFoundError("The network is not trained yet.")

    monkeypatch.setattr(pipeline, "load_network", untrained)
    silent = head_film(tmp_path / "silent.mp4", map(head, range(30)))
    short = head_film(tmp_path / "short.mp4", map(head, range(20)), sound_s=0.8)
    (tmp_path / "still.jpg").write_bytes(jpeg(head(0)))
    nobody = PlainFinder(lambda _: ())
    for film, finder, why in (
        (silent, PlainFinder(), "The film has no sound."),
        (short, PlainFinder(), "No face is there for a second."),
        (tmp_path / "still.jpg", PlainFinder(), "A picture has no sound."),
        (talking, nobody, "No face was found."),
        (talking, PlainFinder(), "The network is not trained yet."),
    ):
        found = LipSync(finder=finder).inspect(film)
        assert (found.av_offset_frames, found.sync_confidence) == (None, 0.0)
        assert found.sync_unmeasured == why, film


def test_inspecting_tells_how_long_a_render_will_take(talking: Path) -> None:
    pace = Pace(mouth_s=0.5, film_s=10.0)
    found, info = plain(pace=pace).inspect(talking), probe(talking)
    a_picture_s = 0.5 + 10.0 * info.width * info.height / 1e6
    assert found.seconds_a_second == pytest.approx(25 * a_picture_s, abs=0.01)
    assert found.estimate_s == pytest.approx(found.frame_count * a_picture_s, abs=0.1)
