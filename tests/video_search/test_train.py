"""The training loop: falling losses, resuming after a kill, and two processes that are one."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as distributed
from accelerate import PartialState

from core.encoders.sequence import NetworkConfig, SequenceEncoder
from core.errors import CancelledError, ParameterError
from core.runtime import CancelToken, cancellable, silent
from core.sharing import gathered
from core.video_search.data import DrawnFilms
from core.video_search.losses import barlow_twins_loss
from core.video_search.train import METRICS, TrainConfig, Training, epoch_batches, measure

PINNED = [21.568, 14.559, 5.993, 1.96, 1.006, 0.98, 0.76]
"""Loss of each epoch of three steps; computed by this loop when it was written, to notice when it changes."""
SMALL = NetworkConfig(features=24, width=16, terms=2, dimensions=32, dropout=0.0)


def films(folder: Path, count: int = 24, seed: int = 0) -> DrawnFilms:
    """Made-up films: half of the features tell a film's own course, the other half the change that a draw made."""
    random = np.random.default_rng(seed)
    files = []
    for film in range(count):
        course = random.normal(size=(8, 12))
        changes = random.normal(size=(6, 1, 12)) + np.zeros((6, 8, 12))
        draws = {f"draw_{n}": np.hstack([course, change]).astype(np.float16) for n, change in enumerate(changes)}
        files.append(folder / f"{seed}-{film}.npz")
        np.savez(files[-1], **draws)  # type: ignore[arg-type]
    return DrawnFilms(files)


def network() -> SequenceEncoder:
    torch.manual_seed(5)
    return SequenceEncoder(SMALL)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / METRICS).read_text().splitlines()]


def test_the_loss_falls_and_copies_among_unseen_films_are_found_better(tmp_path: Path) -> None:
    unseen = films(tmp_path, seed=1)
    before = measure(network(), unseen)
    trained = Training(
        network(), films(tmp_path, 48), unseen, TrainConfig(epochs=15, learning_rate=0.01), tmp_path / "run"
    ).run()
    told = losses(tmp_path / "run")
    assert told[-1] < 0.1 * told[0]
    after = measure(trained, unseen)
    assert before.recall_at_1 < 0.2 and after.recall_at_1 > 0.9


def test_twenty_steps_give_the_losses_they_always_gave(tmp_path: Path) -> None:
    Training(network(), films(tmp_path), None, TrainConfig(epochs=7, learning_rate=0.01), tmp_path / "run").run()
    assert losses(tmp_path / "run") == pytest.approx(PINNED, rel=0.03)


def test_a_stopped_training_goes_on_to_the_same_end_as_one_that_was_not(tmp_path: Path) -> None:
    data, config = films(tmp_path), TrainConfig(epochs=4)
    whole = Training(network(), data, None, config, tmp_path / "whole").run()
    token = CancelToken()

    def stop_in_the_third_epoch(done: int, total: int, what: str) -> None:
        if what == "epoch 3":
            token.cancel()
        cancellable(silent, token)(done, total, what)

    with pytest.raises(CancelledError):
        Training(network(), data, None, config, tmp_path / "halves").run(stop_in_the_third_epoch)
    assert len(losses(tmp_path / "halves")) == 2
    resumed = Training(network(), data, None, config, tmp_path / "halves").run()
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_other_settings_do_not_go_on_with_a_training_that_is_not_theirs(tmp_path: Path) -> None:
    data = films(tmp_path)
    Training(network(), data, None, TrainConfig(epochs=1), tmp_path / "run").run()
    with pytest.raises(ParameterError, match="other settings"):
        Training(network(), data, None, TrainConfig(epochs=1, learning_rate=0.1), tmp_path / "run")


def test_too_few_films_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="at least 8"):
        Training(network(), films(tmp_path, count=5), None, TrainConfig(), tmp_path / "run")


def test_an_epoch_shows_every_film_as_often_as_it_has_pairs_and_never_twice_in_a_batch() -> None:
    batches = epoch_batches(films=24, draws=6, batch=8, random=np.random.default_rng(0))
    assert all(len(set(batch.tolist())) == 8 for batch in batches)
    assert np.bincount(np.concatenate(batches)).tolist() == [3] * 24


def _gradients(z: tuple[torch.Tensor, torch.Tensor], model: SequenceEncoder) -> list[torch.Tensor]:
    mask = torch.ones(z[0].shape[:2], dtype=torch.bool)
    loss = barlow_twins_loss(gathered(model(z[0], mask)), gathered(model(z[1], mask)))
    model.zero_grad()
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def _half(rank: int, meeting: str, out: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    model = torch.nn.parallel.DistributedDataParallel(network())
    first, second = (part[rank::2] for part in _batch())
    mask = torch.ones(first.shape[:2], dtype=torch.bool)
    loss = barlow_twins_loss(gathered(model(first, mask)), gathered(model(second, mask)))
    loss.backward()
    if rank == 0:
        torch.save([loss.detach(), *(p.grad for p in model.parameters())], out)
    distributed.destroy_process_group()


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    return torch.randn(12, 8, 24, generator=random), torch.randn(12, 8, 24, generator=random)


def test_two_processes_have_the_same_loss_and_gradients_as_one(tmp_path: Path) -> None:
    alone = _gradients(_batch(), network())
    meeting, out = tmp_path / "meeting", tmp_path / "gradients.pt"
    context = multiprocessing.get_context("spawn")
    halves = [context.Process(target=_half, args=(rank, str(meeting), str(out))) for rank in range(2)]
    for process in halves:
        process.start()
    for process in halves:
        process.join(120)
        assert process.exitcode == 0
    together = torch.load(out, weights_only=True)
    assert len(together) == len(alone) == 4
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_gathered_rows_of_one_process_are_its_own() -> None:
    assert PartialState().num_processes == 1
    z = torch.randn(3, 4)
    assert gathered(z) is z
