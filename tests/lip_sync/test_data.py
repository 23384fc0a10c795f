"""Training clips: what is written is read, apart by face and voice, and drawn as the networks take it."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ParameterError
from core.lip_sync.data import (
    SHIFTS,
    SUFFIX,
    Clip,
    ClipFile,
    Drawn,
    Look,
    Moments,
    People,
    Runs,
    Split,
    batches,
    drawn,
    moments,
    runs,
)
from core.lip_sync.generator import landmark_maps
from core.lip_sync.model import as_pictures, as_tensor
from tests.lip_sync.made import random_clip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[ClipFile]:
    folder = tmp_path_factory.mktemp("clips")
    for n in range(3):
        random_clip(seed=n).write(folder / f"{n}{SUFFIX}", People(f"face{n}", ("anna", "ben"), held_out=n == 2))
    return [ClipFile(file) for file in sorted(folder.iterdir())]


def drawn_from(files: list[ClipFile], seed: int) -> Drawn:
    return drawn(files, np.random.default_rng(seed))


def test_a_clip_comes_back_as_it_was_written(files: list[ClipFile]) -> None:
    written, read = random_clip(seed=1), files[1].read()

    for part in fields(Clip):
        np.testing.assert_array_equal(getattr(read, part.name), getattr(written, part.name))
    assert (files[1].people, len(files[1])) == (People("face1", ("anna", "ben"), held_out=False), 24)


def test_a_part_of_a_clip_is_that_part(files: list[ClipFile]) -> None:
    np.testing.assert_array_equal(files[0].read(5, 9).target, random_clip(seed=0).target[5:9])


def test_a_file_that_is_no_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / f"text{SUFFIX}").write_text("nothing")

    with pytest.raises(ParameterError, match=rf"text{SUFFIX} is not a training clip"):
        ClipFile(tmp_path / f"text{SUFFIX}")


def test_clips_are_apart_as_their_files_say(files: list[ClipFile]) -> None:
    split = Split.of_folder(files[0].path.parent)

    assert [clip.people.source for clip in split.train] == ["face0", "face1"]
    assert [clip.people.source for clip in split.held_out] == ["face2"]


def test_too_few_people_are_said(tmp_path: Path) -> None:
    random_clip(8).write(tmp_path / f"one{SUFFIX}", People("face", ("voice",), held_out=False))

    with pytest.raises(ParameterError, match="at least six people"):
        Split.of_folder(tmp_path)


def test_moments_are_a_run_of_pictures_and_the_windows_around_it(tmp_path: Path) -> None:
    """Every window is found in the clip, and the middle picture of its group is the one of that frame."""
    random_clip(36).write(tmp_path / f"one{SUFFIX}", People("face", ("voice",), held_out=False))
    files = [ClipFile(tmp_path / f"one{SUFFIX}")]
    clip = files[0].read()

    for seed in range(6):
        drawn = moments(drawn_from(files, seed), 6)

        assert drawn.windows.shape == (1, 6 + 2 * SHIFTS, 20, 20)
        sources = [clip.shown_windows, clip.target_windows]
        kind, first = next(
            (kind, n)
            for kind in (0, 1)
            for n in range(36)
            if np.array_equal(sources[kind][n], drawn.windows[0, 0].half())
        )
        np.testing.assert_array_equal(drawn.windows[0].half(), sources[kind][first : first + 6 + 2 * SHIFTS])
        start = first + SHIFTS
        sides = [clip.shown, clip.blurred] if kind == 0 else [clip.target]
        assert any(
            all(np.array_equal(side[start + n - 2 : start + n + 3], as_pictures(drawn.groups[n])) for n in range(6))
            for side in sides
        )
        if kind == 1:
            np.testing.assert_array_equal(drawn.opening, clip.opening[start : start + 6])


def test_a_run_asks_for_the_target_and_shows_the_blurred_one(files: list[ClipFile]) -> None:
    drawn = runs(drawn_from(files, 3), 5)

    assert drawn.groups.shape == (15, 5, 3, 128, 128)
    torch.testing.assert_close(drawn.groups[:, 2], drawn.given.blurred)
    torch.testing.assert_close(drawn.groups[1:5, 1], drawn.given.blurred[:4])
    clip, truth = files[0].read(), as_pictures(drawn.truth[:5])
    start = next(n for n in range(20) if np.array_equal(clip.target[n], truth[0]))
    np.testing.assert_array_equal(truth, clip.target[start : start + 5])
    np.testing.assert_array_equal(as_pictures(drawn.given.blurred[:5]), clip.blurred[start : start + 5])
    np.testing.assert_array_equal(drawn.windows[:5].half().numpy(), clip.target_windows[start : start + 5])
    reference = as_pictures(drawn.given.reference[:5])
    assert any(np.array_equal(reference[0], shown) for shown in clip.shown)
    assert (reference == reference[0]).all()


def test_a_look_changes_a_whole_run_alike(files: list[ClipFile]) -> None:
    """A grey that is the same in two pictures stays the same in both."""
    look = Look(light=0.5, tint=0.2, mirrored=0)

    drawn = runs(drawn_from(files[:1], 1), 5, look)
    plain = runs(drawn_from(files[:1], 1), 5)

    assert not torch.allclose(drawn.truth, plain.truth, atol=0.05)
    same = plain.truth[0, 0, 0, 0]
    others = plain.given.blurred[:, 0][plain.given.blurred[:, 0] == same]
    changed = drawn.given.blurred[:, 0][plain.given.blurred[:, 0] == same]
    assert len(others) > 10
    torch.testing.assert_close(changed, drawn.truth[0, 0, 0, 0].expand_as(changed))


def test_a_mirrored_run_has_everything_on_the_other_side(files: list[ClipFile], tmp_path: Path) -> None:
    still = {"light": 0.0, "tint": 0.0, "loudness_db": 0.0, "landmarks_px": 0.0}

    plain = runs(drawn_from(files, 1), 5, Look(**still, mirrored=0))
    mirrored = runs(drawn_from(files, 1), 5, Look(**still, mirrored=1))

    for name in ("blurred", "reference"):
        torch.testing.assert_close(getattr(mirrored.given, name), getattr(plain.given, name).flip(-1))
    torch.testing.assert_close(mirrored.truth, plain.truth.flip(-1))
    torch.testing.assert_close(mirrored.windows, plain.windows)
    for name in ("landmarks", "reference_landmarks"):
        before, after = (landmark_maps(getattr(drawn.given, name), 128) for drawn in (plain, mirrored))
        torch.testing.assert_close(after, before.flip(-1), atol=1e-4, rtol=0)
    random_clip(30).write(tmp_path / f"long{SUFFIX}", People("face", ("anna", "ben"), held_out=False))
    long = [ClipFile(tmp_path / f"long{SUFFIX}")]
    seen = [moments(drawn_from(long, 1), 2, Look(**still, mirrored=share)).groups for share in (0, 1)]
    torch.testing.assert_close(seen[1], seen[0].flip(-1))


def test_pictures_survive_the_way_to_tensors_and_back(files: list[ClipFile]) -> None:
    pictures = files[0].read(0, 2).shown

    np.testing.assert_array_equal(as_pictures(as_tensor(pictures)), pictures)


def test_every_clip_comes_once_before_any_comes_again(files: list[ClipFile]) -> None:
    of_step = batches(files, 1, seed=0)

    passes = [[of_step(step)[0].people.source for step in range(n, n + 3)] for n in (0, 3, 6, 9)]

    assert all(sorted(names) == ["face0", "face1", "face2"] for names in passes)
    assert len({tuple(names) for names in passes}) > 1


@pytest.mark.parametrize("take", [moments, runs])
def test_those_who_share_a_batch_draw_what_one_alone_would(
    tmp_path: Path, take: Callable[[Drawn, int, Look], Moments | Runs]
) -> None:
    for n in range(4):
        random_clip(30, seed=n).write(tmp_path / f"{n}{SUFFIX}", People(f"face{n}", ("voice",), held_out=False))
    files = [ClipFile(file) for file in sorted(tmp_path.iterdir())]

    whole = take(drawn_from(files, 1), 2, Look())
    halves = [take(drawn(files, np.random.default_rng(1), slice(n, None, 2)), 2, Look()) for n in (0, 1)]

    for n, half in enumerate(halves):
        torch.testing.assert_close(half.groups.unflatten(0, (2, 2)), whole.groups.unflatten(0, (4, 2))[n::2])
        torch.testing.assert_close(half.opening.unflatten(0, (2, 2)), whole.opening.unflatten(0, (4, 2))[n::2])


def test_all_of_a_batch_goes_to_the_device(files: list[ClipFile], tmp_path: Path) -> None:
    random_clip(30).write(tmp_path / f"long{SUFFIX}", People("face", ("anna", "ben"), held_out=False))
    there = torch.device("meta")

    batch = runs(drawn_from(files, 1), 5).to(there)
    first = moments(drawn_from([ClipFile(tmp_path / f"long{SUFFIX}")], 1), 2).to(there)

    given = [getattr(batch.given, part.name) for part in fields(batch.given)]
    tensors = [batch.groups, batch.windows, batch.truth, batch.opening, first.groups, first.windows, first.opening]
    assert {tensor.device for tensor in [*given, *tensors]} == {there}
