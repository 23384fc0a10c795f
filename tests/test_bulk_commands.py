"""The bulk commands of the tools: a Ray cluster answers what one process answers, bad files included."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.command_line import run
from core.media import VideoReader
from core.music_matching import MusicMatching
from tests.apps.test_lip_sync import film as talking_head
from tests.factories import moving_clip
from tests.lip_sync.stand_ins import burst_file
from tests.music_matching.makers import film, groove_file
from tests.test_bulk import ray_session  # noqa: F401  # a fixture

Answer = dict[str, Any]
Call = Callable[..., Answer]
MANY = "--workers", 2, "--cluster", "local"
ONE = "--workers", 1, "--cluster", "local"
"""Enough for what takes long to load."""

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command of a tool in which one file is bad; its answer."""

    def run_it(tool: str, *words: object) -> Answer:
        capsys.readouterr()
        parser = importlib.import_module(f"core.{tool}.__main__").parser()
        assert run(parser, [*map(str, words), "--json"]) == 3
        return dict(json.loads(capsys.readouterr().out))

    return run_it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which a film and a piece of music are none."""
    folder = tmp_path / "given"
    folder.mkdir()
    for name in ("letter.mp4", "letter.mp3"):
        (folder / name).write_text("Dear all, " * 50)
    return folder


def told(answer: Any, number: Callable[[float], Any] = float) -> Any:
    """An answer without what the clock says, something made of each of its numbers."""
    if isinstance(answer, dict):
        return {key: told(value, number) for key, value in answer.items() if key not in ("seconds_taken", "stages_s")}
    if isinstance(answer, list):
        return [told(value, number) for value in answer]
    return number(answer) if isinstance(answer, float) else answer


def near(answer: Answer) -> Any:
    return told(answer, lambda number: pytest.approx(number, abs=1e-3))


def names(rows: list[Answer]) -> list[str]:
    return [Path(row["path"]).name for row in rows]


def test_a_folder_is_scored(call: Call, folder: Path) -> None:
    for seed in range(3):
        moving_clip(folder / f"clip{seed}.mp4", 160, 120, 12, 2, seed=seed)
    alone, many = (call("video_quality", "score", folder, *how) for how in ((), MANY))
    assert names(many["results"]) == ["clip0.mp4", "clip1.mp4", "clip2.mp4"]
    assert names(many["errors"]) == ["letter.mp4"] and told(many) == near(alone)


def test_music_is_added_and_a_catalogue_of_films_is_matched(call: Call, folder: Path, tmp_path: Path) -> None:
    tracks = [groove_file(folder / f"groove{number}.wav", 14, 70 + 40 * number) for number in range(3)]
    copy = folder / "groove3.wav"
    copy.write_bytes(tracks[0].read_bytes())
    stored = []
    for name, how in (("alone", ()), ("many", ONE)):
        added = call("music_matching", "add", tmp_path / name, folder, "--licence", "CC0", *how)
        assert sorted(names(added["results"])) == [f"groove{number}.wav" for number in range(4)]
        assert sorted(row["status"] for row in added["results"]) == ["added"] * 3 + ["known"]
        assert names(added["errors"]) == ["letter.mp3"]
        library = MusicMatching(tmp_path / name, create=False).library
        stored.append(library.fetch(sorted(library.ids())))
    for one, other in zip(*stored, strict=True):
        assert one.id == other.id and one.attributes["licence"] == other.attributes["licence"] == "CC0"
        assert one.vector is not None and other.vector is not None and np.abs(one.vector - other.vector).max() < 1e-5
    for number in range(2):
        film(folder / f"film{number}.mp4", 3 + number, (1.0,))
    request = ("match-all", folder, "--library", tmp_path / "alone", "--top", 2)
    alone, many = (call("music_matching", *request, *how) for how in ((), ONE))
    assert names(many["results"]) == ["film0.mp4", "film1.mp4"] and names(many["errors"]) == ["letter.mp4"]
    assert all(len(row["matches"]) == 2 for row in many["results"]) and told(many) == near(alone)


def test_the_faces_of_a_table_say_their_speeches(call: Call, folder: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("anna", "bert")):
        talking_head(folder / f"{name}.mp4", shown=6, coffee=2)
        burst_file(folder / f"{name}.wav", 0.8, seed)
    rows = ["face,speech,out", "anna.mp4,anna.wav,", "bert.mp4,bert.wav,second", "anna.mp4,nobody.wav,"]
    (folder / "rows.csv").write_text("\n".join(rows))
    films = {}
    for name, how in (("alone", ()), ("many", MANY)):
        answer = call("lip_sync", "sync-all", folder / "rows.csv", "--out", tmp_path / name, *how)
        assert names(answer["results"]) == ["anna says anna.mp4", "second.mp4"]
        assert [(row["status"], row["frame_count"], row["frames_changed"]) for row in answer["results"]] == [
            ("made", 8, 6)
        ] * 2
        assert names(answer["errors"]) == ["anna says nobody.mp4"] and "nobody.wav" in answer["errors"][0]["error"]
        films[name] = [pictures(Path(row["path"])) for row in answer["results"]]
    for one, other in zip(films["alone"], films["many"], strict=True):
        assert np.abs(one.astype(int) - other).mean() < 0.1
    again = call("lip_sync", "sync-all", folder / "rows.csv", "--out", tmp_path / "many")
    assert [row["status"] for row in again["results"]] == ["known"] * 2


def test_every_prompt_of_a_table_becomes_a_video(call: Call, folder: Path, tmp_path: Path) -> None:
    rows = ["prompt,seed,out", "it hops,3,", "a ball spins,4,second", "<nobody> hops,5,third"]
    (folder / "rows.csv").write_text("\n".join(rows))
    given = (folder / "rows.csv", "--library", tmp_path / "concepts", "--steps", 2)
    videos = {}
    for name, how in (("alone", ()), ("many", MANY)):
        answer = call("personal_video", "generate-all", *given, "--out", tmp_path / name, *how)
        assert names(answer["results"]) == ["it hops 3.mp4", "second.mp4"]
        assert [(row["status"], row["mode"], row["seed"]) for row in answer["results"]] == [
            ("made", "d", 3),
            ("made", "d", 4),
        ]
        assert names(answer["errors"]) == ["third.mp4"] and "<nobody>" in answer["errors"][0]["error"]
        videos[name] = [pictures(Path(row["path"])) for row in answer["results"]]
    for one, other in zip(videos["alone"], videos["many"], strict=True):
        assert np.abs(one.astype(int) - other).mean() < 0.1
    again = call("personal_video", "generate-all", *given, "--out", tmp_path / "many")
    assert [row["status"] for row in again["results"]] == ["known"] * 2


def pictures(path: Path) -> Any:
    with VideoReader(path) as reader:
        return np.stack([frame.pixels for frame in reader.frames()])
