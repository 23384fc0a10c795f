"""Many videos, each from a prompt of its own, with many workers: processes of this machine, or a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.bulk import Workers, run_all
from core.errors import ParameterError
from core.personal_video.config import VideoConfig
from core.personal_video.modes import Letter
from core.personal_video.pipeline import GenerateRequest, PersonalVideoPipeline, engine_of
from core.runtime import Progress, current_profile, silent
from core.tables import cells_of, check_names

_LONGEST_NAME = 60
_SUFFIX = ".mp4"


@dataclass(frozen=True)
class Row:
    """What is to be seen, and the video that comes of it."""

    request: GenerateRequest
    out: Path

    def __str__(self) -> str:
        return str(self.out)


@dataclass(frozen=True)
class Made:
    """A video that was made: what `core.personal_video.results.GeneratedVideo` tells of it, without its pictures."""

    mode: Letter
    seed: int
    words: tuple[str, ...]
    duration_s: float
    seconds_taken: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RowReport:
    """What became of a row: a video, or the sentence that says why there is none; neither where it was there before."""

    row: Row
    made: Made | None = None
    error: str = ""


@dataclass(frozen=True)
class GenerateJob:
    """What a worker does: it takes a row and writes its video.

    Attributes:
        library: address of the concepts, which all workers reach.
        config: how.
        few_steps: on the hub profile by LCM-LoRA.
    """

    library: str
    config: VideoConfig
    few_steps: bool = False

    def __call__(self) -> Callable[[Row], Made]:
        """Open the concepts; the networks are loaded for the first row."""
        pipeline = PersonalVideoPipeline(self.library, engine_of(current_profile(), self.few_steps))

        def make(row: Row) -> Made:
            video = pipeline.generate(row.request, row.out, self.config)
            words = video.settings.words
            return Made(video.mode, video.seed, words, video.duration_s, video.seconds_taken, video.notes)

        return make


def rows_of(table: Path, folder: Path) -> list[Row]:
    """The rows of a table with the columns ``prompt``, ``image``, ``shows``, ``seed`` and ``out``, each where wanted.

    Images lie beside the table. A video is called as ``out`` says, or after its prompt, or its image, and its seed.

    Args:
        table: CSV in UTF-8; the first line names the columns.
        folder: where the videos go.

    Raises:
        ParameterError: the table cannot be read, a row has neither prompt nor image, a seed is none, or a video is
            named twice.
    """
    rows = []
    for number, cells in cells_of(table):
        try:
            request = _request(cells, table.parent)
        except ParameterError as error:
            raise ParameterError(f"{table.name}, line {number}: {error}") from error
        name = cells.get("out", "") or _name_of(request)
        name = name if Path(name).suffix.lower() == _SUFFIX else name + _SUFFIX
        rows.append(Row(request, folder / Path(name).name))
    check_names(table, [row.out for row in rows])
    return rows


def generate_all(
    rows: Sequence[Row], job: GenerateJob, how: Workers, progress: Progress = silent
) -> Iterator[RowReport]:
    """Make the video of every row, in the order in which they are finished; a bad row costs only itself.

    A run that was stopped or killed is gone on with by starting it again: videos that are there are left as they are.

    Args:
        rows: as `rows_of` reads them; their folder exists.
        job: with which concepts, and how.
        how: how many workers, and where.
        progress: told how many are finished.

    Raises:
        CancelledError: ``progress`` says so.
        ParameterError: there is no such cluster, or Ray is not installed.
    """
    there = {row: row.out.exists() for row in rows}
    yield from (RowReport(row) for row in rows if there[row])
    left = [row for row in rows if not there[row]]
    for outcome in run_all(job, left, progress, how.workers, how.cluster):
        yield RowReport(outcome.item, outcome.result, outcome.error)


def _request(cells: dict[str, str], folder: Path) -> GenerateRequest:
    prompt, image, seed = (cells.get(name, "").strip() for name in ("prompt", "image", "seed"))
    if not prompt and not image:
        raise ParameterError("there is neither a prompt nor an image; give one of them.")
    if seed and not seed.isdecimal():
        raise ParameterError(f"the seed is {seed!r}; give a whole number, or leave it out.")
    return GenerateRequest(prompt, folder / image if image else None, cells.get("shows", "").strip(),
                           int(seed) if seed else None)  # fmt: skip


def _name_of(request: GenerateRequest) -> str:
    """A name for the file of a video."""
    words = "".join(letter if letter.isalnum() else " " for letter in request.prompt).split()
    name = " ".join(words)[:_LONGEST_NAME].strip() or (request.image.stem if request.image else "video")
    return name if request.seed is None else f"{name} {request.seed}"
