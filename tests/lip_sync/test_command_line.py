"""`python -m core.lip_sync`: its commands, their JSON, and the status with which they end."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from core.command_line import run
from core.lip_sync import pipeline
from core.lip_sync.__main__ import parser
from core.media import AudioClip, probe, write_audio, write_video
from tests.lip_sync.stand_ins import MOUTH, PlainNetwork, burst_file, head_film, pictures_of_film, spots
from tests.lip_sync.stand_ins import head as painted

Command = Callable[..., tuple[int, Any, str]]
DRAWN = f"0:{','.join(str(side) for side in MOUTH)}"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command: its exit status, the JSON that it prints, and what it says beside."""
    monkeypatch.setattr(pipeline, "load_network", PlainNetwork)

    def running(*argv: object) -> tuple[int, Any, str]:
        status = run(parser(), [str(part) for part in argv])
        captured = capsys.readouterr()
        return status, json.loads(captured.out) if "--json" in argv and captured.out else captured.out, captured.err

    return running


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures of a painted head, which mediapipe takes for no face."""
    return head_film(tmp_path_factory.mktemp("film") / "film.mp4", map(painted, range(30)))


def test_inspect_lists_faces_and_when_they_are_there(command: Command, tmp_path: Path, head: NDArray[np.uint8]) -> None:
    both = np.hstack([head, head[:, ::-1]])
    write_video(tmp_path / "two.mp4", [both] * 6, Fraction(25))
    status, answer, _ = command("inspect", tmp_path / "two.mp4", "--json")
    assert status == 0 and [face["id"] for face in answer["results"]] == [0, 1]
    assert answer["frames_without_face"] == [] and answer["frame_count"] == 6 and answer["frame_rate"] == 25
    assert all(80 < face["width_px"] < 200 and face["start_s"] == 0 for face in answer["results"])
    _, shown, _ = command("inspect", tmp_path / "two.mp4")
    assert "face 1: 0.00 to 0.20 s" in shown and "6 pictures, 0 without a face, 25.000 a second" in shown
    assert answer["av_offset_frames"] is None and answer["sync_unmeasured"] == "The film has no sound."
    assert answer["estimate_s"] == pytest.approx(6 / 25 * answer["seconds_a_second"], abs=0.06)
    assert "its own sound: The film has no sound." in shown and "a render takes about" in shown


def test_sync_with_a_drawn_mouth_writes_the_film_and_says_what_it_did(
    command: Command, tmp_path: Path, film: Path
) -> None:
    speech, out = burst_file(tmp_path / "speech.wav", 1.16), tmp_path / "out.mp4"
    status, answer, _ = command(
        "sync",
        film,
        speech,
        "--out",
        out,
        "--mouth",
        DRAWN,
        "--no-silence-gate",
        "--cache",
        tmp_path / "cache",
        "--json",
    )
    assert status == 0 and answer["results"] == [{"path": str(out)}]
    assert {"out", "duration_s", "seconds_taken", "sync_confidence", "frames_covered", "cuts"} <= set(answer)
    assert (answer["frame_count"], answer["frames_changed"], answer["frames_without_face"]) == (30, 30, [])
    assert answer["av_offset_frames"] == 0
    assert np.ptp(spots(pictures_of_film(out)[1])) > 0.5 and list((tmp_path / "cache").iterdir())
    _, shown, _ = command("sync", film, speech, "--out", out, "--mouth", DRAWN, "--seconds", "0.4")
    assert "10 of 10 pictures changed, in" in shown and "offset not told" in shown


def test_speakers_are_named_by_face(command: Command, tmp_path: Path, film: Path) -> None:
    speech, out = burst_file(tmp_path / "anna.wav", 0.4), tmp_path / "out.mp4"
    arguments = ("sync", film, "--out", out, "--mouth", DRAWN, "--length", "trim", "--no-silence-gate", "--json")
    status, answer, _ = command(*arguments, "--speaker", f"0={speech}")
    assert status == 0 and answer["faces"] == [0] and answer["frame_count"] == 10
    with av.open(str(out)) as container:
        assert "anna.wav" in container.metadata["showreel"]
    for wrong in ("anna.wav", "x=anna.wav", "1="):
        status, _, said = command(*arguments, "--speaker", wrong)
        assert status == 2 and "write ID=FILE" in said
    status, _, said = command(*arguments, "--speaker", f"3={speech}")
    assert status == 2 and "There is no face 3" in said


def test_say_speaks_a_text(command: Command, tmp_path: Path, film: Path) -> None:
    out = tmp_path / "out.mp4"
    status, answer, _ = command("say", film, "Good morning.", "--out", out, "--mouth", DRAWN, "--json")
    assert status == 0 and answer["frames_changed"] == 30
    assert probe(out).audio is not None and np.ptp(spots(pictures_of_film(out)[1])) > 0.3


def test_every_failure_has_its_status_and_a_sentence(command: Command, tmp_path: Path, film: Path) -> None:
    speech, out = burst_file(tmp_path / "speech.wav", 0.5), tmp_path / "out.mp4"
    write_audio(tmp_path / "empty.wav", AudioClip(np.zeros((0, 1), np.float32), 16000))
    sync: tuple[object, ...] = ("sync", film, speech, "--json", "--out")
    cases: tuple[tuple[tuple[object, ...], int, str], ...] = (
        ((*sync, out), 3, "No face was found in film.mp4"),
        ((*sync, out, "--mouth", "0:1,2,3"), 2, "write FRAME:LEFT,TOP,RIGHT,BOTTOM"),
        ((*sync, out, "--mouth", "99:1,2,3,4"), 2, "Frame 99 is not in the film"),
        ((*sync, out, "--mouth", DRAWN, "--openness", "9"), 2, "openness is 9.0"),
        ((*sync, out, "--mouth", DRAWN, "--seconds", "-1"), 2, "The test lasts -1.0 s"),
        ((*sync, tmp_path / "out.txt", "--mouth", DRAWN), 2, "'.txt' is no film's suffix"),
        (("sync", film, "--out", out, "--json"), 2, "There is nothing to be said"),
        (("sync", tmp_path / "none.mp4", speech, "--out", out, "--json"), 3, "none.mp4"),
        (("sync", film, tmp_path / "empty.wav", "--out", out, "--mouth", DRAWN, "--json"), 3, "empty.wav"),
    )
    for argv, wanted, sentence in cases:
        status, printed, said = command(*argv)
        assert (status, printed) == (wanted, "") and sentence in said, argv
    assert not out.exists()


def test_voices_are_listed(command: Command) -> None:
    status, answer, _ = command("voices", "--json")
    assert status == 0 and {"en", "de", "fr"} <= {row["id"].split("-")[0] for row in answer["results"]}
