"""Teaching the stem: mosaics keep their patches, spoilt pictures their labels, and it learns to name faults."""

import itertools
import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from core.video_quality.data import Rung
from core.video_quality.distortions import LADDERS, PRISTINE, Scene, by_name
from core.video_quality.results import FAULTS
from core.video_quality.sampling import PATCH, enlarged
from core.video_quality.stem_training import (
    SCORED,
    Pictures,
    random_fragments,
    read_pictures,
    spoilt,
    train_stem,
    went_down,
)
from core.video_quality.train import METRICS, Run, TrainConfig


def test_random_fragments_are_patches_of_the_picture(scene: Scene) -> None:
    picture = enlarged(scene.pictures[0])
    mosaic = random_fragments(picture, np.random.default_rng(1))
    assert mosaic.shape == (224, 224, 3)
    for top, left in itertools.product((0, PATCH), repeat=2):
        patch = mosaic[top : top + PATCH, left : left + PATCH]
        mirrored = [patch[::a, ::b] for a in (1, -1) for b in (1, -1)]
        least = min(cv2.matchTemplate(picture, np.ascontiguousarray(p), cv2.TM_SQDIFF).min() for p in mirrored)
        assert least < 1.0 * PATCH * PATCH


def test_a_spoilt_picture_has_the_label_of_its_strength(scene: Scene) -> None:
    random, told = np.random.default_rng(0), []
    for _ in range(60):
        picture, score, name = spoilt(scene.pictures[0], random)
        told.append(name)
        if name == "clean":
            assert score == PRISTINE and np.array_equal(picture, scene.pictures[0])
        else:
            low, high = by_name[name].scores[-1], by_name[name].scores[0]
            assert low <= score <= high
            assert not np.array_equal(picture, scene.pictures[0])
    assert set(told) == {"clean", *(ladder.name for ladder in SCORED)}
    assert 5 < told.count("clean") < 30


def test_ladders_are_named_by_ones() -> None:
    row = went_down("noise+h264")
    assert {ladder.name for ladder, value in zip(LADDERS, row, strict=True) if value} == {"noise", "h264"}
    assert sum(went_down("clean")) == 0


def test_the_stem_learns_to_tell_spoilt_fragments(tmp_path: Path, scene: Scene) -> None:
    """Noise against clean, on one film: within twenty steps the loss falls and the strong noise is told."""
    steps = [scene.pictures[:4]] + [
        by_name["noise"].apply(Scene(scene.pictures[:4], Fraction(4), 1), s) for s in (0.002, 0.01)
    ]
    pairs = [np.stack(clip[:2]) for clip in steps]
    mos, names = np.array([PRISTINE, 3.39, 2.3]), ("clean", "noise", "noise")
    ladders = np.array([went_down(n) for n in names] * 4, np.float32)
    clips = Pictures(tuple(pairs) * 4, np.tile(mos, 4), ladders, (scene.pictures[5],))
    train_stem(clips, clips, TrainConfig(epochs=5, batch=4, learning_rate=5e-4), Run(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert max(row["srcc"] for row in rows) > 0.8


def test_pictures_of_a_film_are_read_with_its_labels_and_large_ones_are_cut(tmp_path: Path) -> None:
    rungs = [
        Rung("a", 0, "clean", 0, PRISTINE, 100.0, (0.0,) * len(FAULTS)),
        Rung("a", 0, "h264", 1, 4.0, 80.0, (0.0,) * 7),
    ]
    pictures = np.random.default_rng(0).integers(0, 256, (2, 2, 300, 648, 3), dtype=np.uint8)
    text = np.array(json.dumps([rung.__dict__ for rung in rungs]))
    np.savez(tmp_path / "a--0.npz", pictures=pictures, rungs=text)
    found = read_pictures([tmp_path], {"a"})
    np.testing.assert_array_equal(found.pictures[1], pictures[1, :, :, 100:548])
    assert found.mos.tolist() == [PRISTINE, 4.0] and len(found.clean) == 2
    assert not read_pictures([tmp_path], {"b"}).pictures
