"""The command line: JSON that callers may rely on, exit status, and one clear sentence for every bad file."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.command_line import run
from core.video_search.__main__ import parser
from tests.factories import animated_picture, cut_short, moving_clip, sound_file, still_picture, with_garbage

Call = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command with --json; return its status, its answer, and what it said on standard error."""

    def run_it(*words: object) -> tuple[int, dict[str, Any], str]:
        status = run(parser(), [*map(str, words), "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else {}, err

    return run_it


def test_add_find_recommend_list_and_remove_work_together(call: Call, clips: list[Path], tmp_path: Path) -> None:
    library = tmp_path / "library"
    status, added, _ = call("add", library, *clips[:3], "--tag", "made")
    assert status == 0 and [row["status"] for row in added["results"]] == ["added"] * 3
    status, found, _ = call("find", library, clips[1], "--top", 2)
    assert status == 0 and found["results"][0]["path"] == str(clips[1])
    assert {"id", "path", "similarity", "offset_s"} <= set(found["results"][0]) and len(found["results"]) == 2
    status, recommended, _ = call("recommend", library, found["results"][0]["id"])
    assert status == 0 and len(recommended["results"]) == 2
    status, listed, _ = call("list", library)
    assert [(row["title"], row["tags"]) for row in listed["results"]] == [
        (clip.stem, ["made"]) for clip in reversed(clips[:3])
    ]
    status, _, _ = call("remove", library, found["results"][0]["id"])
    assert status == 0 and len(call("list", library)[1]["results"]) == 2


def bad_files(folder: Path) -> dict[str, Path]:
    """The kinds of bad input, each with a file of it."""
    film = moving_clip(folder / "film.mp4", duration_s=6, frame_rate=10)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a film " * 99)
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:5,\nfilm.mp4\n")
    (folder / "no films").mkdir()
    dot = animated_picture(folder / "dot.gif", count=3, size=(1, 1))
    return {
        "empty": folder / "empty.mp4",
        "text": folder / "text.mp4",
        "playlist": folder / "playlist.mp4",
        "missing": folder / "missing.mp4",
        "folder": folder / "no films",
        "cut short": cut_short(film, 0.6),
        "garbage": with_garbage(film),
        "sound only": sound_file(folder / "sound.wav"),
        "still": still_picture(folder / "still.jpg"),
        "one pixel": dot,
        "twenty hours": _claims_twenty_hours(folder),
    }


def _claims_twenty_hours(folder: Path) -> Path:
    """A film of two seconds whose Matroska header says that it lasts twenty hours."""
    film = moving_clip(folder / "claims.mkv", duration_s=2)
    data = bytearray(film.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # the element Duration, a double, in milliseconds
    data[place : place + 8] = struct.pack(">d", 20 * 3600 * 1000)
    film.write_bytes(data)
    return film


KINDS = ["empty", "text", "playlist", "missing", "folder", "cut short", "garbage", "sound only", "still",
         "one pixel", "twenty hours"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_bad_file_gets_its_one_sentence_and_status_three_and_leaves_nothing(
    call: Call, tmp_path: Path, kind: str
) -> None:
    path = bad_files(tmp_path)[kind]
    library = tmp_path / "library"
    call("add", library, tmp_path / "film.mp4")
    before = sorted(p for p in tmp_path.rglob("*") if library not in p.parents)
    for words in (("find", library, path), ("add", library, path)):
        status, answer, err = call(*words)
        sentences = [line for line in err.splitlines() if line.startswith("error: ")]
        assert status == 3 and len(sentences) == 1 and path.name in sentences[0], err
        assert "Traceback" not in err and not answer.get("results")
    assert len(call("list", library)[1]["results"]) == 1
    assert sorted(p for p in tmp_path.rglob("*") if library not in p.parents) == before


def test_a_path_outside_the_allowed_folders_is_refused_also_through_a_link(
    call: Call, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    inside = moving_clip(allowed / "inside.mp4", duration_s=1)
    (allowed / "link.mp4").symlink_to(clips[0])
    monkeypatch.setenv("SHOWREEL_ROOTS", str(allowed))
    assert call("add", tmp_path / "library", inside)[0] == 0
    for outside in (clips[0], allowed / "link.mp4", allowed / ".." / "elsewhere.mp4"):
        status, _, err = call("find", tmp_path / "library", outside)
        assert status == 3 and "outside the allowed folders" in err


@pytest.mark.parametrize("words", [("--top", "0"), ("--frame-rate", "0"), ("--min-frames", "999")])
def test_a_setting_out_of_range_is_a_bad_argument(call: Call, clips: list[Path], tmp_path: Path, words: tuple) -> None:
    call("add", tmp_path / "library", clips[0])
    status, _, err = call("find", tmp_path / "library", clips[0], *words)
    assert status == 2 and "error: " in err


def test_a_library_that_is_not_there_is_bad_input(call: Call, clips: list[Path], tmp_path: Path) -> None:
    status, _, err = call("find", tmp_path / "nowhere", clips[0])
    assert status == 3 and "nowhere" in err
