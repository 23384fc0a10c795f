"""The command line: packs hold only what may be trained on."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from core.command_line import BAD_ARGUMENTS, run
from core.personal_video.__main__ import parser
from core.personal_video.subjects import read_pack, write_pack
from tests.personal_video.conftest import disc, saved
from tests.personal_video.made import figure


def manifest(folder: Path, licences: dict[str, str]) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file", "name", "caption", "licence"])
        for number, (name, licence) in enumerate(licences.items()):
            saved(folder, f"{name}.png", disc((40 * number, 90, 200), 160, 60))
            writer.writerow([f"{name}.png", name, "", licence])
    return path


def test_a_pack_holds_plainly_free_subjects_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = manifest(tmp_path, {"ball": "MIT", "wheel": "GPL-2+", "plate": "CC-BY-SA-4.0", "coin": "CC0"})
    assert run(parser(), ["pack", str(table), "--out", str(tmp_path / "pack"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subjects"] == 2
    kept = read_pack(tmp_path / "pack")
    assert [subject.phrase for subject in kept] == ["a ball", "a coin"]
    assert all(np.asarray(subject.pictures).any() for subject in kept)


def test_other_licences_are_taken_when_they_are_named(tmp_path: Path) -> None:
    table = manifest(tmp_path, {"ball": "MIT", "wheel": "GPL-2+"})
    assert run(parser(), ["pack", str(table), "--out", str(tmp_path / "pack"), "--licences", "GPL-2+"]) == 0
    assert [subject.phrase for subject in read_pack(tmp_path / "pack")] == ["a wheel"]


def test_a_table_without_a_free_subject_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = manifest(tmp_path, {"wheel": "GPL-2+"})
    assert run(parser(), ["pack", str(table), "--out", str(tmp_path / "pack")]) == BAD_ARGUMENTS
    assert "no readable subject" in capsys.readouterr().err


def test_a_value_out_of_its_range_is_a_bad_argument(tmp_path: Path) -> None:
    write_pack([figure(1)], tmp_path / "pack")
    words = ["train", str(tmp_path / "pack"), "--out", str(tmp_path / "out"), "--side-px", "60"]
    assert run(parser(), words) == BAD_ARGUMENTS
    assert not (tmp_path / "out").exists()
