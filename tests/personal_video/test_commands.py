"""The command line: concepts are kept, videos made, and larger ones made from them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.command_line import BAD_ARGUMENTS, BAD_INPUT, run
from core.media import probe
from core.personal_video import engine
from core.personal_video.__main__ import parser
from core.personal_video.film import read_settings
from tests.personal_video.conftest import disc, saved
from tests.personal_video.made import WordEncoder, small_network

GREEN = (30, 180, 40)
QUICK = ["--steps", "2", "--frames", "4", "--side-px", "32"]


@pytest.fixture(autouse=True)
def unlearnt(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The profile's networks have learnt nothing."""
    monkeypatch.setattr(engine, "load_network", lambda: small_network().requires_grad_(False))
    monkeypatch.setattr(engine, "MeanPooledEncoder", lambda _: WordEncoder())
    yield


class Line:
    """The command line over a library in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *words: object, status: int = 0) -> Any:
        """Run a command; its answer, or what it says when it fails."""
        asked = [*map(str, words), "--library", str(self.folder / "library"), "--json"]
        assert run(parser(), asked) == status, self._capsys.readouterr().err
        told = self._capsys.readouterr()
        return told.err if status else json.loads(told.out)

    def picture(self, name: str, colour: tuple[int, int, int]) -> Path:
        return saved(self.folder, name, disc(colour))


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path, capsys)


def test_a_concept_is_added_listed_renamed_given_away_brought_back_and_removed(line: Line) -> None:
    picture = line.picture("red.png", (200, 30, 30))
    (row,) = line("concept", "add", "biscuit", picture)["results"]
    assert (row["word"], row["pictures"]) == ("biscuit", 1)
    line("concept", "add", "biscuit", line.picture("blue.png", (20, 40, 220)), "--more")
    line("concept", "rename", "biscuit", "rex")
    assert [(one["word"], one["pictures"]) for one in line("concept", "list")["results"]] == [("rex", 2)]
    (exported,) = line("concept", "export", line.folder / "all.zip")["results"]
    line("concept", "remove", "rex")
    assert line("concept", "list")["results"] == []
    assert line("concept", "import", exported["path"])["results"][0]["word"] == "rex"
    assert "already" in line("concept", "import", exported["path"], status=BAD_ARGUMENTS)
    assert line("concept", "import", exported["path"], "--replacing")["results"][0]["pictures"] == 2


def test_a_preview_shows_what_is_cut_out_and_keeps_nothing(line: Line) -> None:
    (line.folder / "cut").mkdir()
    plain = saved(line.folder, "plain.png", np.full((64, 64, 3), 90, np.uint8))
    told = line("concept", "preview", line.picture("red.png", (200, 30, 30)), plain, "--out", line.folder / "cut",
                status=BAD_INPUT)  # fmt: skip
    assert "No subject was found in plain.png" in told
    assert [file.name for file in (line.folder / "cut").iterdir()] == ["cutout-0.png"]
    assert line("concept", "list")["results"] == []


def test_a_word_that_is_not_there_removes_nothing(line: Line) -> None:
    line("concept", "add", "biscuit", line.picture("red.png", (200, 30, 30)))
    assert "There is no concept waffle" in line("concept", "remove", "biscuit", "waffle", status=BAD_ARGUMENTS)
    assert len(line("concept", "list")["results"]) == 1


@pytest.mark.parametrize(
    ("prompt", "image", "shows", "mode"),
    [("<biscuit> hops", False, "", "a"), ("biscuit hops", True, "biscuit", "b"), ("biscuit hops", True, "-", "c"),
     ("it hops", False, "", "d"), ("it hops", True, "", "e")],
)  # fmt: skip
def test_all_five_modes_make_a_video_and_a_larger_one(
    line: Line, prompt: str, image: bool, shows: str, mode: str
) -> None:
    line("concept", "add", "biscuit", line.picture("red.png", (200, 30, 30)))
    out = line.folder / "made.mp4"
    given = ["--image", line.picture("green.png", GREEN)] if image else []
    made = line("generate", prompt, "--out", out, "--seed", 5, "--shows=" + shows, *given, *QUICK)
    assert (made["mode"], made["seed"], made["out"], made["size_px"]) == (mode, 5, str(out), [32, 32])
    assert made["duration_s"] == float(probe(out).duration_s) == 0.5 and made["seconds_taken"] > 0
    larger = line("enlarge", out, *given, "--steps", 2)
    assert (larger["mode"], larger["size_px"]) == (mode, [64, 64])
    assert read_settings(line.folder / "made larger.mp4").factor == 2


def test_an_image_alone_needs_no_prompt_and_nothing_at_all_is_refused(line: Line) -> None:
    image = line.picture("green.png", GREEN)
    out = line.folder / "made.mp4"
    assert line("generate", "--image", image, "--out", out, *QUICK)["mode"] == "e"
    assert "The prompt is empty" in line("generate", "--out", out, status=BAD_ARGUMENTS)


def test_an_unknown_word_is_a_bad_argument_that_names_those_there_are(line: Line) -> None:
    line("concept", "add", "biscuit", line.picture("red.png", (200, 30, 30)))
    told = line("generate", "<biskit> hops", "--out", line.folder / "made.mp4", status=BAD_ARGUMENTS)
    assert "No concept is called <biskit>; there is <biscuit>" in told


def test_a_file_from_elsewhere_cannot_be_enlarged(line: Line) -> None:
    told = line("enlarge", line.picture("red.png", (200, 30, 30)), status=BAD_INPUT)
    assert "holds no settings of personal video" in told
