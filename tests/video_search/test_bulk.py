"""Adding a collection with many workers: the same rows as a plain loop, whoever is killed on the way."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from core.encoders.image import ImageEncoder
from core.media import video_files
from core.store import Record
from core.video_search import SearchConfig, VideoSearch, bulk
from core.video_search.bulk import DescribeJob, Prepared, Workers, add_all
from tests.factories import moving_clip

CLIPS = 200
QUICK = SearchConfig(min_frames=1)
"""A frame of each clip: what is tested is who does the work, not the work."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many little clips, and among them a file that is none."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(CLIPS):
        moving_clip(folder / f"clip{number:03}.mp4", 64, 48, frame_rate=4, duration_s=0.5, seed=number)
    (folder / "clip050b.mp4").write_text("not a film " * 30)
    return folder


@pytest.fixture(scope="module")
def plain(folder: Path, encoder: ImageEncoder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """What the plain loop makes of the clips: title to record, with its vector."""
    search = VideoSearch(tmp_path_factory.mktemp("plain") / "library", encoder, QUICK)
    list(add_all(search, video_files(str(folder)), Workers()))
    return rows(search)


def rows(search: VideoSearch) -> dict[str, Record]:
    return {record.title: record for record in search.library.fetch(sorted(search.library.ids()))}


@dataclass(frozen=True)
class Fragile(DescribeJob):
    """Describes like any other; but the first worker that is given a certain clip is killed while it works on it."""

    folder: str = ""

    def __call__(self) -> Callable[[str], Prepared]:
        describe = super().__call__()

        def fragile(address: str) -> Prepared:
            prepared = describe(address)
            marker = Path(self.folder, Path(address).stem)
            if Path(address).stem in ("clip020", "clip120") and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return prepared

        return fragile


@pytest.fixture(params=[None, "local"], ids=["processes", "Ray"])
def cluster(request: pytest.FixtureRequest) -> str | None:
    return request.param


def test_two_killed_workers_and_a_bad_file_change_nothing(
    plain: dict[str, Record],
    folder: Path,
    encoder: ImageEncoder,
    cluster: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "DescribeJob", lambda library, config: Fragile(library, config, str(tmp_path)))
    search = VideoSearch(tmp_path / "library", encoder, QUICK)
    reports = list(add_all(search, video_files(str(folder)), Workers(2, cluster), ["many"]))
    assert {Path(report.path).stem for report in reports if report.status == "failed"} == {"clip050b"}
    assert (tmp_path / "clip020").exists() and (tmp_path / "clip120").exists(), "no worker was killed"
    found = rows(search)
    assert found.keys() == plain.keys() and len(found) == CLIPS
    for title, record in found.items():
        theirs = plain[title].vector
        assert record.vector is not None and theirs is not None and np.abs(record.vector - theirs).max() < 1e-5
        assert record.tags == ("many",) and record.id == plain[title].id


def test_a_run_that_was_stopped_is_gone_on_with_and_describes_nothing_twice(
    folder: Path, encoder: ImageEncoder, tmp_path: Path
) -> None:
    search = VideoSearch(tmp_path / "library", encoder, QUICK)
    files = video_files(str(folder))[:12]
    first = list(islice(add_all(search, files, Workers()), 5))
    again = list(add_all(search, files, Workers(), ["second"]))
    assert [report.status for report in again] == ["known"] * 5 + ["added"] * 7
    assert {record.tags for record in search.library.records()} == {("second",)}
    assert [report.id for report in again[:5]] == [report.id for report in first]
