"""The command line: JSON that callers may rely on, exit status, and one clear sentence for every bad file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.command_line import run
from core.music_matching.__main__ import parser
from tests.factories import sound_file, still_picture
from tests.music_matching.makers import film, groove_file

Call = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command with --json; return its status, its answer, and what it said on standard error."""

    def run_it(*words: object) -> tuple[int, dict[str, Any], str]:
        capsys.readouterr()
        status = run(parser(), [*map(str, words), "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else {}, err

    return run_it


def test_add_match_lay_list_and_remove_work_together(
    call: Call, grooves: list[Path], video: Path, tmp_path: Path
) -> None:
    library, bad = tmp_path / "library", tmp_path / "bad.mp3"
    bad.write_text("no music " * 50)
    status, added, said = call("add", library, *grooves[:2], bad, "--licence", "CC0")
    assert status == 3 and "bad.mp3 is not a film, picture or sound" in said
    assert [row["status"] for row in added["results"]] == ["added"] * 2 and len(added["errors"]) == 1

    status, found, _ = call("match", video, "--library", library, "--top", 1)
    (best,) = found["results"]
    assert status == 0 and {"id", "path", "score", "reasons", "window_s", "licence"} <= set(best)
    assert best["licence"] == "CC0" and len(best["window_s"]) == 2

    out = tmp_path / "out.mp4"
    status, laid, _ = call("lay", video, best["path"], "--out", out, "--library", library, "--mode", "mix")
    assert status == 0 and out.exists() and {"out", "duration_s", "seconds_taken"} <= set(laid)
    assert laid["duration_s"] == 6 and laid["start_s"] == pytest.approx(best["window_s"][0])

    status, listed, _ = call("list", library)
    assert status == 0 and {row["licence"] for row in listed["results"]} == {"CC0"}
    assert call("remove", library, best["id"])[0] == 0
    assert len(call("list", library)[1]["results"]) == 1


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("match", "VIDEO", "--library", "NONE"), 3, "There is no library at"),
        (("match", "VIDEO", "--library", "LIBRARY", "--top", "0"), 2, "top is 0; ask for at least one"),
        (("match", "STILL", "--library", "LIBRARY"), 3, "still.png is a still picture"),
        (("match", "SOUND", "--library", "LIBRARY"), 3, "sound.wav has no picture"),
        (("lay", "VIDEO", "STILL", "--out", "OUT"), 3, "still.png is a picture"),
        (("lay", "VIDEO", "SOUND", "--out", "FOLDER/none/out.mp4", "--start-s", "0"), 2, "does not exist"),
        (("lay", "VIDEO", "SOUND", "--out", "OUT", "--start-s", "99"), 2, "start within it"),
        (("lay", "VIDEO", "SOUND", "--out", "OUT", "--duck-db", "9"), 2, "duck_db is 9.0; choose a number"),
        (("add", "LIBRARY", "FOLDER/missing.mp3"), 3, "missing.mp3 does not exist"),
        (("train", "--out", "OUT2"), 3, "There is no pair of film and music"),
        (("train", "--games", "FOLDER", "--out", "OUT2"), 3, "holds none of the games"),
    ],
)
def test_bad_input_gets_one_clear_sentence_and_writes_nothing(
    words: tuple[str, ...], status: int, sentence: str, call: Call, tmp_path: Path
) -> None:
    places = {
        "VIDEO": film(tmp_path / "film.mp4", 4),
        "STILL": still_picture(tmp_path / "still.png"),
        "SOUND": sound_file(tmp_path / "sound.wav", 5),
        "LIBRARY": tmp_path / "library",
        "NONE": tmp_path / "nothing",
        "OUT2": tmp_path / "work",
        "OUT": tmp_path / "out.mp4",
        "FOLDER": tmp_path,
    }
    if "LIBRARY" in words and words[0] == "match":
        call("add", places["LIBRARY"], groove_file(tmp_path / "groove.wav", 4))

    def placed(word: str) -> str:
        head, _, tail = word.partition("/")
        return str(places[head] / tail) if tail else str(places.get(head, word))

    library = ["--library", str(tmp_path / "laid")] if words[0] == "lay" else []
    told_status, answer, said = call(*map(placed, words), *library)
    assert told_status == status and sentence in said, said
    assert not (tmp_path / "out.mp4").exists() and not answer.get("results")
