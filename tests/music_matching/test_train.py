"""The recipe: twenty steps on made-up pairs fall, are the same each time, and go on after a kill."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.bulk import ALONE, Workers
from core.errors import CancelledError, ParameterError
from core.music_matching.assessment import (
    OTHER_TITLES,
    as_table,
    assess,
    folds_of,
    titles_share_a_word,
    training_set,
)
from core.music_matching.collecting import Material
from core.music_matching.data import TrainingPair, TrainingSet
from core.music_matching.features import VideoFeatures
from core.music_matching.keywords import title_keywords
from core.music_matching.metrics import ranks_of
from core.music_matching.model import ModelConfig, TwoTowers
from core.music_matching.train import CHECKPOINT, METRICS, TrainConfig, Trainer, Training
from core.runtime import CancelToken, cancellable, seed_everything, silent
from tests.music_matching.test_features import made_track

SIZES = {"image": 12, "words": 6}
SMALL = ModelConfig(width=32, dimensions=16, dropout=0.1, missing=0.2)
LOSS_BEFORE = 8.647
SHORT = TrainConfig(steps=20, learning_rate=3e-3, checkpoint_every=5, seed=1)


def pairs(tracks: int = 12, each: int = 3) -> TrainingSet:
    """Films and tracks with something in common: a hidden vector for each track, seen through noise."""
    random = np.random.default_rng(0)
    hidden = random.standard_normal((tracks, 6)).astype(np.float32)
    through = random.standard_normal((6, 12)).astype(np.float32)
    names = [f"track {n}" for n in range(tracks) for _ in range(each)]
    films: list[dict[str, np.ndarray | None]] = []
    music: list[dict[str, np.ndarray | None]] = []
    for index, vector in enumerate(np.repeat(hidden, each, axis=0)):
        image = (vector @ through + 0.3 * random.standard_normal(12)).astype(np.float32)
        films.append({"image": image, "words": vector if index % 2 else None})
        music.append({"image": (vector @ through[:, ::-1]).astype(np.float32), "words": vector if index % 3 else None})
    return TrainingSet(films, music, names, films[:5], hidden[np.repeat(np.arange(tracks), each)][:5])


def started(folder: Path | None = None, config: TrainConfig = SHORT) -> Training:
    seed_everything(config.seed)
    return Training(TwoTowers(SMALL, SIZES, SIZES), pairs(), config, folder)


def test_twenty_steps_fall_from_the_pinned_loss() -> None:
    training = started()
    losses = [training.one_step() for _ in range(20)]
    assert losses[0] == pytest.approx(LOSS_BEFORE, abs=0.05)
    assert np.mean(losses[-3:]) < 0.8 * losses[0]


def test_a_trained_model_finds_the_right_tracks() -> None:
    training = started(config=TrainConfig(steps=150, learning_rate=3e-3, seed=1))
    model, data = training.run(), pairs()
    one = [data.music[index] for index in range(0, 36, 3)]
    right = np.repeat(np.eye(12, dtype=bool), 3, axis=0)
    ranks = ranks_of(model.embed_video(data.videos) @ model.embed_music(one).T, right)
    assert (ranks == 1).mean() > 0.8


def test_the_same_seed_gives_the_same_model() -> None:
    one, other = started().run(), started().run()
    data = pairs()
    assert np.array_equal(one.embed_video(data.videos), other.embed_video(data.videos))


def test_a_stopped_training_goes_on_to_the_same_model(tmp_path: Path) -> None:
    token = CancelToken()

    def stop_at_twelve(done: int, total: int, what: str) -> None:
        if done == 12:
            token.cancel()
        cancellable(silent, token)(done, total, what)

    with pytest.raises(CancelledError):
        started(tmp_path).run(stop_at_twelve)
    resumed = started(tmp_path)
    assert resumed.step == 10
    data = pairs()
    assert resumed.run().embed_video(data.videos) == pytest.approx(started().run().embed_video(data.videos), abs=1e-5)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [CHECKPOINT, METRICS]


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    started(tmp_path).run()
    with pytest.raises(ParameterError, match="other settings"):
        started(tmp_path, TrainConfig(steps=21))


def test_too_few_tracks_are_refused() -> None:
    data = pairs(tracks=3)
    with pytest.raises(ParameterError, match="at least 4"):
        Training(TwoTowers(SMALL, SIZES, SIZES), data, SHORT)


def made_pair(group: str, track: str) -> TrainingPair:
    zeros = VideoFeatures(0, np.zeros(1280, np.float32), np.zeros(8, np.float32))
    return TrainingPair("game", group, "a place", track, "", zeros, made_track())


def test_folds_divide_no_group_and_what_is_held_out_is_in_no_training_set() -> None:
    counts = {"big": 7, "middle": 4, "small": 2}
    pairs = tuple(made_pair(g, f"{g}/{n}") for g, count in counts.items() for n in range(count))
    material = Material(pairs, {}, (), None, ())
    folds = folds_of(pairs)
    assert folds == [frozenset({"big"}), frozenset({"middle", "small"})]
    kept = training_set(material, folds[1])
    assert set(kept.sources) == {f"big/{n}" for n in range(7)}
    assert all(row["words"] is None for row in training_set(material, features="without titles").music)


def test_a_step_draws_one_part_of_a_film_and_one_picture_of_a_track() -> None:
    parts = tuple(replace(made_pair("a film", f"a film {begin}"), kind="film") for begin in (0, 20, 40))
    material = Material((*parts, *(made_pair("game", f"game/{n}") for n in (1, 1, 2, 3))), {}, (), None, ())
    data = training_set(material)
    assert data.sources == ["a film"] * 3 + ["game/1", "game/1", "game/2", "game/3"]
    of_source = Training(TwoTowers(SMALL), data, SHORT).of_source
    assert [indices.tolist() for indices in of_source] == [[0, 1, 2], [3, 4], [5], [6]]


def test_a_film_whose_title_shares_a_word_with_its_track_goes_without_a_title_in_one_line() -> None:
    def titled(film: str, track: str) -> TrainingPair:
        pair = made_pair("a", track)
        video = replace(pair.video, words=np.ones(384, np.float32), keywords=title_keywords(film))
        return replace(pair, video=video, music=replace(pair.music, keywords=title_keywords(track)))

    pairs = (titled("Castle ground", "Castle"), titled("Frozen bay", "ice"), titled("Forests", "forest-cave"))
    assert [titles_share_a_word(pair) for pair in pairs] == [True, False, True]
    material = Material(pairs, {}, (), None, ())
    given = training_set(material, features=OTHER_TITLES).videos
    assert [row["words"] is None for row in given] == [True, False, True]
    assert all(row["words"] is not None for row in training_set(material).videos)


def test_the_table_has_every_line_in_both_directions_and_chance_is_chance() -> None:
    def at_random(data: TrainingSet, seed: int) -> TwoTowers:
        seed_everything(seed)
        return TwoTowers(SMALL)

    pairs = tuple(made_pair(g, f"{g}/{n}") for g in ("a", "b") for n in range(6))
    material = Material(pairs, {"other": made_track(99)}, (), None, ())
    lines = assess(material, at_random, ["all features", "tags only"])
    assert [(x.direction, x.features) for x in lines] == [
        (direction, name)
        for direction in ("film to music", "music to film")
        for name in ("chance", "all features", "tags only")
    ]
    assert lines[0].recalls[1].value == pytest.approx(5 / 7) and lines[0].queries == 12
    assert as_table(lines).count("\n") == 7


def test_the_table_is_the_same_however_many_processes_train(tmp_path: Path) -> None:
    """All trainings in one process, or dealt out to two."""
    random = np.random.default_rng(0)

    def seen(number: int, pair: TrainingPair) -> TrainingPair:
        image = random.standard_normal(1280).astype(np.float32)
        return replace(pair, video=replace(pair.video, image=image), music=made_track(number))

    pairs = tuple(seen(n, made_pair(g, f"{g}/{n}")) for g in ("a", "b") for n in range(6))
    material, names = Material(pairs, {"other": made_track(99)}, (), None, ()), ["all features", "tags only"]
    fit = Trainer(SMALL, SHORT)
    alone, shared = (assess(material, fit, names, how=how) for how in (ALONE, Workers(2)))
    assert shared == alone and {line.features for line in shared} == {"chance", *names}
    assert assess(material, Trainer(SMALL, replace(SHORT, seed=100)), names) != alone, "the trainings count"


def test_material_that_is_too_little_once_a_part_is_held_out_is_refused() -> None:
    material = Material(tuple(made_pair(g, f"{g}/{n}") for g in ("a", "b") for n in range(2)), {}, (), None, ())
    with pytest.raises(ParameterError, match="2 tracks and films to train on"):
        assess(material, Trainer(SMALL, SHORT), ["all features"])
