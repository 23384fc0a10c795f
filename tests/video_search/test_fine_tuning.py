"""Fine-tuning on a library's own videos, and the switch of the library from one model to the next."""

import copy
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.encoders.image import ImageEncoder
from core.errors import CancelledError, ParameterError, WeightsNotFoundError
from core.runtime import CancelToken, cancellable, silent
from core.video_search import SearchConfig, VideoSearch
from core.video_search.data import SequenceConfig
from core.video_search.descriptor import Model, TrainedDescriptor, read_model, write_model
from core.video_search.fine_tuning import fine_tune, switch
from core.video_search.train import TrainConfig
from core.video_search.tuning import Recipe, tune
from core.weights import weights_path
from tests.factories import moving_clip
from tests.scenes import PLACES, scene


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    made = [scene(folder / f"{place}.mp4", place, duration_s=1, size=(96, 64)) for place in PLACES]
    return made + [moving_clip(folder / f"clip{n}.mp4", 96, 64, duration_s=1, seed=n) for n in range(12 - len(made))]


@pytest.fixture
def library(tmp_path: Path, encoder: ImageEncoder, films: list[Path]) -> VideoSearch:
    config = SearchConfig(models=tmp_path / "models")
    search = VideoSearch(tmp_path / "library", encoder, config)
    assert {report.status for report in search.add_each(films)} == {"added"}
    return search


def another_model(folder: Path, name: str) -> str:
    """A model that differs from the embedded one, put where fine-tuned models lie."""
    folder.mkdir(exist_ok=True)
    old = read_model(weights_path("video_search", "video_search.safetensors"))
    old.network.term_gains.data[1:] *= 1.5
    model = Model(old.network, name, old.encoder, old.mean, old.background, old.thresholds)
    write_model(model, folder / f"{name}.safetensors", {})
    return name


def test_fine_tuning_measures_before_and_after_and_changes_the_library_only_for_the_better(
    library: VideoSearch, films: list[Path], tmp_path: Path
) -> None:
    old = library.descriptor.version
    how = TrainConfig(epochs=5, learning_rate=1e-4)
    tuned = fine_tune(library, how, tmp_path / "training", SequenceConfig(draws=4))
    assert tuned.switched == (tuned.after.micro_average_precision > tuned.before.micro_average_precision)
    assert library.descriptor.version == (tuned.model if tuned.switched else old)
    assert len(library.library) == len(films) and library.find(films[3]).results[0].title == films[3].stem


def test_a_switched_library_holds_every_video_under_the_new_model_with_its_tags_and_time(
    library: VideoSearch, films: list[Path]
) -> None:
    before = {record.id: record for record in library.library.records()}
    name = another_model(library.config.models, "second")
    assert switch(library, name) == []
    after = {record.id: record for record in library.library.records()}
    assert library.descriptor.version == name and before.keys() == after.keys()
    assert all(after[id].added_at == record.added_at and after[id].tags == record.tags for id, record in before.items())
    (fresh,) = library.library.fetch([next(iter(after))])
    described = library.describe(Path(fresh.path)).descriptor
    assert fresh.vector is not None and np.abs(fresh.vector - described).max() < 1e-4


def test_whoever_has_the_library_open_searches_with_the_new_model_from_the_next_call_on(
    library: VideoSearch, films: list[Path], encoder: ImageEncoder
) -> None:
    other = VideoSearch(library.library.address, encoder, library.config)
    switch(library, another_model(library.config.models, "second"))
    assert other.find(films[0]).results[0].title == films[0].stem
    assert other.descriptor.version == "second"


def test_a_stopped_switch_leaves_the_library_as_it_was_and_is_gone_on_with(
    library: VideoSearch, films: list[Path]
) -> None:
    name, token, done = another_model(library.config.models, "second"), CancelToken(), []

    def stop_at_the_fifth(index: int, total: int, what: str) -> None:
        done.append(what)
        if index == 5:
            token.cancel()
        cancellable(silent, token)(index, total, what)

    with pytest.raises(CancelledError):
        switch(library, name, stop_at_the_fifth)
    assert library.model == "" and library.find(films[1]).results[0].title == films[1].stem
    assert len(library.library) == len(films)
    again: list[str] = []
    switch(library, name, lambda index, total, what: again.append(what))
    assert len(again) == len(films) - 5 and library.model == name and len(library.library) == len(films)


def test_a_killed_switch_loses_nothing_and_mixes_nothing(library: VideoSearch, films: list[Path]) -> None:
    another_model(library.config.models, "second")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, library.library.address, str(library.config.models)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    reopened = VideoSearch(library.library.address, library.encoder, library.config, create=False)
    assert reopened.model == "" and len(reopened.library) == len(films)
    assert isinstance(reopened.descriptor, TrainedDescriptor) and reopened.of_other_encoders() == 6
    assert reopened.find(films[2]).results[0].title == films[2].stem
    switch(reopened, "second")
    assert reopened.of_other_encoders() == 0 and len(reopened.library) == len(films)


KILLED = f"""
import os, signal, sys
from pathlib import Path
from core.video_search import SearchConfig, VideoSearch
from core.video_search.fine_tuning import switch
def stop(index, total, what):
    if index == 6:
        os.kill(os.getpid(), {int(signal.SIGKILL)})
switch(VideoSearch(sys.argv[1], config=SearchConfig(models=Path(sys.argv[2])), create=False), "second", stop)
"""


@pytest.mark.parametrize("moment", ["in the middle of an epoch", "between metrics and checkpoint"])
def test_a_fine_tuning_killed_while_it_trains_leaves_the_library_alone_and_goes_on_to_the_same_end(
    library: VideoSearch, films: list[Path], tmp_path: Path, moment: str
) -> None:
    folder, how, sequences = tmp_path / "training", TrainConfig(epochs=5, learning_rate=1e-4), SequenceConfig(draws=4)
    address, models = library.library.address, str(library.config.models)
    killed = subprocess.run([sys.executable, "-c", KILLED_TRAINING, address, models, str(folder), moment], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(metrics(folder)) == (3 if moment == "between metrics and checkpoint" else 2)
    assert not library.config.models.exists() and library.of_other_encoders() == 0
    assert library.find(films[3]).results[0].title == films[3].stem and len(library.library) == len(films)

    start = copy.deepcopy(library.descriptor.network) if isinstance(library.descriptor, TrainedDescriptor) else None
    tuned = fine_tune(library, how, folder, sequences)
    shutil.copytree(folder / "features", tmp_path / "whole" / "features")
    whole = tune(films, library.encoder, Recipe(sequences, how, start=start), tmp_path / "whole")
    assert [row["epoch"] for row in metrics(folder)] == [1, 2, 3, 4, 5]
    for ours, theirs in zip(metrics(folder), metrics(tmp_path / "whole"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
    assert (tuned.before, tuned.after) == (whole.before, whole.after)
    assert library.of_other_encoders() == 0 and library.find(films[3]).results[0].title == films[3].stem


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


KILLED_TRAINING = f"""
import os, signal, sys
from pathlib import Path
import torch
from core.video_search import SearchConfig, VideoSearch
from core.video_search.data import SequenceConfig
from core.video_search.fine_tuning import fine_tune
from core.video_search.train import TrainConfig
address, models, folder, moment = sys.argv[1:]
def die():
    os.kill(os.getpid(), {int(signal.SIGKILL)})
told, saved, save = [], [], torch.save
def progress(done, total, what):
    told.append(what)
    if moment == "in the middle of an epoch" and told.count("epoch 3") == 2:
        die()
def saving(*arguments):
    saved.append(arguments)
    if moment == "between metrics and checkpoint" and len(saved) == 3:
        die()
    save(*arguments)
torch.save = saving
search = VideoSearch(address, config=SearchConfig(models=Path(models)), create=False)
how = TrainConfig(epochs=5, learning_rate=1e-4)
fine_tune(search, how, Path(folder), SequenceConfig(draws=4), progress)
"""


def test_a_lost_film_stays_under_the_old_model_and_is_named(
    library: VideoSearch, films: list[Path], tmp_path: Path
) -> None:
    gone = moving_clip(tmp_path / "gone.mp4", duration_s=1, seed=99)
    list(library.add_each([gone]))
    gone.unlink()
    assert switch(library, another_model(library.config.models, "second")) == ["gone"]
    assert len(library.library) == len(films) and library.of_other_encoders() == 1


def test_a_model_that_is_gone_is_named_with_the_folder_to_put_it_into(
    library: VideoSearch, encoder: ImageEncoder
) -> None:
    switch(library, another_model(library.config.models, "second"))
    (library.config.models / "second.safetensors").unlink()
    with pytest.raises(WeightsNotFoundError, match=r"second\.safetensors"):
        VideoSearch(library.library.address, encoder, library.config)


@pytest.mark.parametrize("count", [0, 4, 10])
def test_too_small_a_library_is_not_trained_on(
    search: VideoSearch, films: list[Path], tmp_path: Path, count: int
) -> None:
    list(search.add_each(films[:count]))
    with pytest.raises(ParameterError, match=rf"The library has {count} videos .*at least 12"):
        fine_tune(search, TrainConfig(epochs=5), tmp_path / "training", SequenceConfig(draws=2))
