"""A table of prompts: what its rows mean, and that every good one becomes a video whatever the others are."""

from pathlib import Path

import pytest

from core.bulk import ALONE
from core.errors import CancelledError, ParameterError
from core.personal_video import engine
from core.personal_video.bulk import GenerateJob, Row, RowReport, generate_all, rows_of
from core.personal_video.film import read_settings
from core.personal_video.pipeline import GenerateRequest
from tests.personal_video.conftest import disc, saved
from tests.personal_video.made import WordEncoder, small_network
from tests.personal_video.pipelines import SMALL, figured, unlearnt


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GenerateJob:
    """Concepts in which biscuit is one, and networks that have learnt nothing."""
    monkeypatch.setattr(engine, "load_network", lambda: small_network().requires_grad_(False))
    monkeypatch.setattr(engine, "MeanPooledEncoder", lambda _: WordEncoder())
    return GenerateJob(figured(tmp_path / "library", unlearnt()).database.address, SMALL)


def table(folder: Path, *rows: str) -> Path:
    file = folder / "rows.csv"
    file.write_text("\n".join(["prompt,image,shows,seed,out", *rows]))
    return file


def rows_in(folder: Path) -> list[Row]:
    saved(folder, "green.png", disc((30, 180, 40)))
    out = folder / "made"
    out.mkdir()
    lines = ["<biscuit> hops,,,3,", "it hops,green.png,-,4,second", "<waffle> hops,,,5,third", "it sways,gone.png,,6,",
             "biscuit sways,,,7,last"]  # fmt: skip
    return rows_of(table(folder, *lines), out)


def told(reports: list[RowReport]) -> dict[str, str]:
    return {report.row.out.stem: report.error or ("made" if report.made else "known") for report in reports}


def test_a_row_is_a_prompt_an_image_or_both_and_its_video_has_a_name_of_its_own(tmp_path: Path) -> None:
    rows = rows_of(table(tmp_path, '"A <cat>, jumping!",,,7,', ",dog.png,,,", "it hops,dog.png,-,,hop.mp4"), tmp_path)
    assert [row.out.name for row in rows] == ["A cat jumping 7.mp4", "dog.mp4", "hop.mp4"]
    assert rows[0].request == GenerateRequest("A <cat>, jumping!", seed=7)
    assert rows[2].request == GenerateRequest("it hops", tmp_path / "dog.png", "-")


def test_a_video_goes_nowhere_but_into_the_folder(tmp_path: Path) -> None:
    (row,) = rows_of(table(tmp_path, "it hops,,,,../../elsewhere.mp4"), tmp_path / "made")
    assert row.out == tmp_path / "made" / "elsewhere.mp4"


@pytest.mark.parametrize(
    ("row", "says"),
    [(",,,5,name", "line 2: there is neither a prompt nor an image"), ("it hops,,,many,", "line 2: the seed is 'many'"),
     ("it hops,,,99999999999,", "line 2: seed"), ("it hops,,,1,\nit hops!,,,1,", "makes it hops 1.mp4 twice")],
)  # fmt: skip
def test_a_table_that_cannot_be_meant_is_refused_before_anything_is_made(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        rows_of(table(tmp_path, row), tmp_path)


def test_bad_rows_are_named_and_the_rest_are_made(tmp_path: Path, job: GenerateJob) -> None:
    became = told(list(generate_all(rows_in(tmp_path), job, ALONE)))
    assert "No concept is called <waffle>" in became.pop("third") and "gone.png" in became.pop("it sways 6")
    assert became == dict.fromkeys(("biscuit hops 3", "second", "last"), "made")
    made = sorted(file.name for file in (tmp_path / "made").iterdir())
    assert made == ["biscuit hops 3.mp4", "last.mp4", "second.mp4"]
    assert (read_settings(tmp_path / "made" / "second.mp4").mode, read_settings(tmp_path / "made" / made[0]).seed) == (
        "e",
        3,
    )


def test_a_stopped_run_goes_on_with_what_is_not_there(tmp_path: Path, job: GenerateJob) -> None:
    rows = rows_in(tmp_path)

    def stop(done: int, total: int, what: str) -> None:
        if done == 1:
            raise CancelledError("Stopped")

    seen: list[RowReport] = []
    with pytest.raises(CancelledError):
        for report in generate_all(rows, job, ALONE, stop):
            seen.append(report)
    assert told(seen) == {"biscuit hops 3": "made"}
    first = rows[0].out.stat()
    became = told(list(generate_all(rows, job, ALONE)))
    assert [became[name] for name in ("biscuit hops 3", "second", "last")] == ["known", "made", "made"]
    assert rows[0].out.stat() == first
