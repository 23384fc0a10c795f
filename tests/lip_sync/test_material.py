"""Made clips: what they are made of, and that they show what they say."""

import csv
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ParameterError
from core.lip_sync.animator import FaceAnimator
from core.lip_sync.articulation import articulation
from core.lip_sync.data import ClipFile, People, Split, openings
from core.lip_sync.inner_mouth import MouthLook
from core.lip_sync.making import MakeConfig, Speech, head_poses, made_clip, passage
from core.lip_sync.material import (
    Material,
    Portrait,
    cartoons,
    held_out_faces,
    make_clips,
    portraits,
    speeches,
    synthetic,
)
from core.lip_sync.sound import SAMPLE_RATE, frame_windows, mfcc
from core.lip_sync.voices import VoiceConfig
from tests.lip_sync.conftest import ASSETS

SENTENCE = "My mother baked a big apple pie for Papa and me."


@pytest.fixture(scope="module")
def speech() -> Speech:
    return synthetic(SENTENCE, VoiceConfig("en-us", "m1"))


def _table(folder: Path, rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> Path:
    file = folder / "speech.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return file


class TestSpeech:
    def test_rows_without_a_file_are_spoken_and_recordings_are_aligned(self, tmp_path: Path) -> None:
        (tmp_path / "one.wav").write_bytes((ASSETS / "sample_en.wav").read_bytes())
        said = "My thought I have nobody by a beauty and will as you poured."
        rows = [("", "en-us", SENTENCE, "f2"), ("one.wav", "en-us", said, "anna")]

        found, left_out = speeches(_table(tmp_path, rows, ("file", "language", "transcript", "voice")))

        assert [speech.voice for speech in found] == ["espeak-en-us-f2", "anna"]
        assert not left_out
        for one in found:
            assert one.phones[0].start_s == 0
            assert one.phones[-1].stop_s == pytest.approx(len(one.wave) / SAMPLE_RATE, abs=0.01)

    def test_a_bad_row_is_named_and_the_others_are_used(self, tmp_path: Path) -> None:
        rows = [("none.wav", "en-us", "Nothing."), ("", "en-us", SENTENCE), ("", "xx", "Who?")]

        found, left_out = speeches(_table(tmp_path, rows, ("file", "language", "transcript")))

        assert len(found) == 1
        assert [line.split(":")[0] for line in left_out] == ["speech.csv, line 2", "speech.csv, line 4"]

    def test_a_table_without_a_column_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match="no column language, transcript"):
            speeches(_table(tmp_path, [("a.wav",)], ("file",)))

    def test_a_passage_is_the_utterances_with_their_phones_where_they_are_heard(self, speech: Speech) -> None:
        """The loudest part of the whole lies within phones, the pauses in none."""
        whole = passage([speech], 6, np.random.default_rng(0))

        assert len(whole.wave) >= 6 * SAMPLE_RATE
        silence = [phone for phone in whole.phones if phone.symbol == "_" and phone.stop_s - phone.start_s > 0.15]
        spoken = [phone for phone in whole.phones if phone.symbol != "_"]
        levels = [
            [float(np.abs(whole.wave[int(p.start_s * SAMPLE_RATE) : int(p.stop_s * SAMPLE_RATE)]).mean()) for p in part]
            for part in (silence, spoken)
        ]
        assert max(levels[0]) < 0.2 * np.mean(levels[1])
        assert all(b.start_s == pytest.approx(a.stop_s, abs=0.01) for a, b in pairwise(whole.phones))

    def test_nothing_to_say_is_said(self) -> None:
        with pytest.raises(ParameterError, match="no speech"):
            passage([], 3, np.random.default_rng(0))


def test_portraits_are_large_faces_and_their_mesh_lies_on_them(tmp_path: Path, head: np.ndarray) -> None:
    Image.fromarray(head).resize((480, 480)).save(tmp_path / "ada~one.jpg")
    Image.fromarray(head).resize((160, 160)).save(tmp_path / "small.jpg")
    (tmp_path / "cup.jpg").write_bytes((ASSETS / "coffee.jpg").read_bytes())

    found = list(portraits(tmp_path))

    assert [(portrait.name, portrait.source) for portrait in found] == [("ada~one~0", "ada")]
    height, width = found[0].picture.shape[:2]
    assert ((found[0].mesh[:, :2] > 0) & (found[0].mesh[:, :2] < (width, height))).all()


def test_heads_move_slowly_and_no_further_than_asked() -> None:
    poses = head_poses(MakeConfig(frames=100, turn_deg=5, shift=0.02), np.random.default_rng(1))

    yaw = np.array([pose.yaw_deg for pose in poses])
    assert 0.5 < np.abs(yaw).max() <= 5.001
    assert np.abs(np.diff(yaw)).max() < 1
    assert max(abs(pose.right) for pose in poses) <= 0.0201


class TestMadeClips:
    def test_a_clip_shows_one_speech_and_asks_for_the_other(self, speech: Speech) -> None:
        other = synthetic("Fee fi fo fum, who are you?", VoiceConfig("en-us", "f2"))
        portrait = next(cartoons(1))
        random = np.random.default_rng(0)
        said = passage([speech], 3, random), passage([other], 3, random)
        animator = FaceAnimator(portrait.picture, portrait.mesh, MouthLook())

        clip = made_clip(animator, said, MakeConfig(frames=60, noise_db=60), seed=2)

        courses = [articulation(one.phones, 60)[:, 0] for one in said]
        measured = openings(clip.landmarks), clip.opening
        for course, opening in zip(courses, measured, strict=True):
            assert np.corrcoef(course, opening)[0, 1] > 0.95
        assert abs(np.corrcoef(courses[0], measured[1])[0, 1]) < 0.6
        for one, windows in zip(said, (clip.shown_windows, clip.target_windows), strict=True):
            clean = frame_windows(mfcc(one.wave), 60)
            assert np.corrcoef(clean[:, 0].ravel(), windows[:, 0].astype(float).ravel())[0, 1] > 0.95
        assert (clip.shown[:, :20] == clip.target[:, :20]).mean() > 0.9

    def test_held_out_faces_say_only_held_out_voices_and_what_is_made_is_kept(self, tmp_path: Path) -> None:
        said = [synthetic("Papa, mama, baby.", VoiceConfig("en-us", f"m{n}")) for n in range(1, 7)]
        config = Material(each=1), MakeConfig(frames=30)
        faces = list(cartoons(6))

        files = make_clips(faces, said, config, tmp_path)
        times = [file.stat().st_mtime_ns for file in files]
        again = make_clips(faces, said, config, tmp_path)

        split = Split.of_folder(tmp_path)
        assert len(split.train) == 5 and len(split.held_out) == 1
        assert again == files
        assert [file.stat().st_mtime_ns for file in files] == times
        assert ClipFile(files[-1]).people == People("cartoon00005", ("espeak-en-us-m6",) * 2, held_out=True)

    def test_too_few_voices_are_said(self, speech: Speech, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match="6 faces and 1 voices"):
            make_clips(list(cartoons(6)), [speech], (Material(), MakeConfig()), tmp_path)


def test_drawn_faces_do_not_change_which_photographs_are_held_out() -> None:
    picture, mesh = np.zeros((8, 8, 3), np.uint8), np.zeros((478, 3), np.float32)
    people = [Portrait(f"{name}~0", name, picture, mesh) for name in "abcdefghijklm"]
    drawn = [Portrait(f"cartoon{n}", f"cartoon{n}", picture, mesh, drawn=True) for n in range(7)]

    assert held_out_faces(people) == {"f", "l"}
    assert held_out_faces([*people, *drawn]) == {"f", "l", "cartoon5"}
