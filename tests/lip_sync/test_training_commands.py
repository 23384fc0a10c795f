"""From a folder of portraits and a table of speech to weights and their figures, by the commands alone."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.command_line import run
from core.lip_sync.__main__ import parser
from core.lip_sync.network import FILE, load_network

PEOPLE = 6


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory, head: np.ndarray) -> Path:
    """Six people who look alike."""
    folder = tmp_path_factory.mktemp("portraits")
    for number in range(PEOPLE):
        Image.fromarray(head).resize((400, 400)).save(folder / f"person{number}.png")
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six synthetic voices, and a row that cannot be used."""
    file = tmp_path_factory.mktemp("speech") / "speech.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = [("", "en-us", "Papa, mama, baby.", f"m{n}") for n in range(1, PEOPLE + 1)]
        csv.writer(stream).writerows(
            [("file", "language", "transcript", "voice"), *rows, ("gone.wav", "en-us", "Hm.", "")]
        )
    return file


def test_clips_are_made_trained_on_and_measured(
    portraits: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(*words: str) -> dict:
        assert run(parser(), [*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    small = ["--feature-steps", "1", "--steps", "1", "--clips", "1", "--moments", "2"]

    made = answer("make", str(portraits), str(table), "--out", str(tmp_path / "clips"), "--each", "1", "--frames", "30")
    assert len(made["results"]) == PEOPLE
    assert "speech.csv, line 8" in made["left_out"][0] and "gone.wav" in made["left_out"][0]

    trained = answer("train", str(tmp_path / "clips"), "--out", str(tmp_path / "out"), *small)
    assert trained["results"] == [{"path": str(tmp_path / "out" / FILE)}]
    assert 0 < trained["ssim"] < 1
    load_network(tmp_path / "out" / FILE)

    told = answer(
        "evaluate", str(portraits), str(table), "--model", str(tmp_path / "out" / FILE), "--frames", "40", "--most", "1"
    )
    assert [row["id"] for row in told["results"]] == ["network", "warp", "shuffled", "untouched"]
    assert told["table"].startswith("| method | correlation | closed |")


def test_too_few_people_to_hold_any_out_are_said(portraits: Path, table: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    (one / "a.png").write_bytes((portraits / "person0.png").read_bytes())

    assert run(parser(), ["make", str(one), str(table), "--out", str(tmp_path / "clips")]) == 2
