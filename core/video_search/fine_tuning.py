"""Fine-tuning on a library's own videos, and the change of the library to the new model (METHODS 3, fine-tuning)."""

import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import MediaError, ParameterError
from core.media.whole_file import written_whole
from core.runtime import Progress, part_of, silent
from core.store import Library, Record, write_setting
from core.video_search.data import SequenceConfig
from core.video_search.descriptor import TrainedDescriptor
from core.video_search.pipeline import MODEL_SETTING, VideoSearch
from core.video_search.rows import video_of
from core.video_search.train import Figure, TrainConfig
from core.video_search.tuning import HELD_OUT, Recipe, tune

ROWS_AT_ONCE = 64
LEAST_VIDEOS = 2 * HELD_OUT
"""Of fewer, not even two can be held out."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning did to a library."""

    model: str
    """Name of the new model."""
    before: Figure
    after: Figure
    """On videos of the library that were held out."""
    switched: bool
    """Whether the library is now searched with the new model: it is when it is the better one."""
    lost: tuple[str, ...] = ()
    """Titles of videos that cannot be read any more; they stay under the old model and are not found."""


def fine_tune(
    search: VideoSearch,
    training: TrainConfig,
    folder: Path,
    sequences: SequenceConfig | None = None,
    progress: Progress = silent,
) -> FineTuned:
    """Train the library's model further on the library's videos, and switch to the result if it is better.

    Every video is described anew under the new model's name before the library is switched by a single write, so that
    searches are answered by one model throughout. Stopped or killed at any moment, it leaves the library as it was,
    and goes on where it was when it is called again with the same folder.

    Args:
        search: the library.
        training: epochs and the like; 5 to 10 epochs are usual.
        folder: for features and checkpoints.
        sequences: how training sequences are drawn.
        progress: half of it is training, half describing anew.

    Raises:
        ParameterError: there are too few videos.
        CancelledError: ``progress`` says so.
    """
    search.follow_the_library()
    descriptor = search.descriptor
    network = copy.deepcopy(descriptor.network) if isinstance(descriptor, TrainedDescriptor) else None
    films = [path for record in search.library.records() if (path := Path(record.path)).exists()]
    if len(films) < LEAST_VIDEOS:
        raise ParameterError(
            f"The library has {len(films)} videos whose files are there, too few to train on; "
            f"add some until it has at least {LEAST_VIDEOS}."
        )
    recipe = Recipe(sequences or SequenceConfig(), training, start=network)
    tuned = tune(films, search.encoder, recipe, folder, part_of(progress, 0, 2))
    better = tuned.after.micro_average_precision > tuned.before.micro_average_precision
    if not better:
        return FineTuned(tuned.version, tuned.before, tuned.after, switched=False)
    search.config.models.mkdir(parents=True, exist_ok=True)
    with written_whole(search.config.models / f"{tuned.version}.safetensors") as part:
        part.write_bytes(tuned.path.read_bytes())
    lost = switch(search, tuned.version, part_of(progress, 1, 2))
    return FineTuned(tuned.version, tuned.before, tuned.after, switched=True, lost=tuple(lost))


def switch(search: VideoSearch, model: str, progress: Progress = silent) -> list[str]:
    """Describe every video with another model, then search with that one; return the titles of those that are lost.

    Videos that others add meanwhile are described as well. Who adds one in the very moment of the change finds it
    counted by `VideoSearch.of_other_encoders`.

    Raises:
        WeightsError: the model is missing or damaged.
        CancelledError: ``progress`` says so; the library is still searched with the old model.
    """
    old, new = copy.copy(search), search.with_model(model)
    lost: dict[str, str] = {}
    while missing := sorted(search.library.ids() - new.library.ids() - lost.keys()):
        for index, record in enumerate(_one_after_another(search.library, missing)):
            progress(index, len(missing), record.title)
            try:
                new.keep(record, new.describe(Path(record.path)))
            except MediaError as error:
                _log.warning("Left under the old model: %s", error)
                lost[record.id] = record.title
    write_setting(search.library.address, MODEL_SETTING, model)
    search.follow_the_library()
    _discard(old, new.library.ids())
    return list(lost.values())


def _one_after_another(library: Library, ids: Sequence[str]) -> Iterator[Record]:
    """The records with these ids that are still there; rows with their vectors are large, so few are held at once."""
    for start in range(0, len(ids), ROWS_AT_ONCE):
        some = ids[start : start + ROWS_AT_ONCE]
        there = library.ids().intersection(some)
        yield from library.fetch([id for id in some if id in there])


def _discard(old: VideoSearch, ids: set[str]) -> None:
    """Delete videos that are described anew from under the old model; a row that came meanwhile stays."""
    old.library.remove(sorted(ids))
    old.segments.remove(sorted(segment for segment in old.segments.ids() if video_of(segment)[0] in ids))
