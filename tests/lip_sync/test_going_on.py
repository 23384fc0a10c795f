"""Jobs that are stopped, go on, are done twice, and report how far they are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import (
    CancelledError,
)
from core.lip_sync import LipSyncResult, SyncRequest, remembering
from tests.lip_sync.stand_ins import (
    COUNT,
    HAND,
    OPEN,
    PlainFinder,
    PlainNetwork,
    Seen,
    covering,
    head,
    head_film,
    plain,
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head for 30 pictures, with a soundtrack of 44.1 kHz stereo."""
    return head_film(tmp_path_factory.mktemp("film") / "film.mp4", (head(n) for n in range(COUNT)), 25, 1.2)


class Stop(BaseException):
    """Whatever ends a process."""


class TestGoingOn:
    def stopping(self, at: int) -> Callable[[int, int, str], None]:
        """A report that ends the job at a picture of the second stage."""

        def report(done: int, total: int, what: str) -> None:
            if what == "mouths" and done >= 1000 + 1000 * at // COUNT:
                raise Stop

        return report

    @pytest.mark.parametrize("at", [12, 25])
    def test_a_job_that_was_stopped_goes_on_and_comes_out_the_same(
        self, tmp_path: Path, speech: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        """With a hand before the mouth for a while, at 50 a second, and small batches and files."""
        monkeypatch.setattr(remembering, "_CHUNK", 5)
        source = head_film(tmp_path / "film.mp4", (covering(n) for n in range(COUNT)), 50)
        config, cache = replace(OPEN, batch_frames=3, length="trim"), tmp_path / "cache"
        request = SyncRequest(source, speech)
        plain(config).sync(request, tmp_path / "whole.mp4")
        whole = [after for _, after in seen]
        seen.clear()
        with pytest.raises(Stop):
            plain(config, cache=cache).sync(request, tmp_path / "out.mp4", self.stopping(at))
        assert not (tmp_path / "out.mp4").exists()
        network, finder = PlainNetwork(), PlainFinder()
        made = plain(config, cache=cache, network=network, finder=finder).sync(request, tmp_path / "out.mp4")
        assert finder.opened == 0
        assert len(network.groups) <= COUNT + COUNT - at + 3  # making and measuring
        assert made.frames_covered == tuple(HAND)
        for (_, one), other in zip(seen, whole, strict=True):
            np.testing.assert_array_equal(one, other)
        assert [path.name[:6] for path in cache.iterdir()] == ["faces-"]

    def test_a_killed_process_loses_only_what_was_not_written(
        self, tmp_path: Path, film: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a kill: nothing is written on the way out."""
        monkeypatch.setattr(remembering, "_CHUNK", 8)
        config, cache, request = replace(OPEN, batch_frames=4), tmp_path / "cache", SyncRequest(film, speech)
        flush = remembering.MouthStore.flush
        monkeypatch.setattr(
            remembering.MouthStore, "flush", lambda store, complete: flush(store, complete) if store.full else None
        )
        with pytest.raises(Stop):
            plain(config, cache=cache).sync(request, tmp_path / "out.mp4", self.stopping(22))
        assert sum(len(list(job.glob("mouths-*"))) for job in cache.glob("job-*")) in (1, 2)
        monkeypatch.setattr(remembering.MouthStore, "flush", flush)
        network = PlainNetwork()
        made = plain(config, cache=cache, network=network).sync(request, tmp_path / "out.mp4")
        assert made.frames_changed == COUNT and len(network.groups) < COUNT + 24

    def test_the_second_run_uses_the_faces_of_the_first_and_inspection_too(
        self, tmp_path: Path, film: Path, speech: Path
    ) -> None:
        finder, cache = PlainFinder(), tmp_path / "cache"
        tool = plain(cache=cache, finder=finder)
        assert tool.inspect(film).frame_count == COUNT
        for _ in range(2):
            tool.sync(SyncRequest(film, speech), tmp_path / "out.mp4")
        assert (finder.opened, finder.looked) == (1, COUNT)

    def test_the_same_job_twice_at_once_does_no_harm(self, tmp_path: Path, film: Path, speech: Path) -> None:
        """The second one runs while the first is in its second stage."""
        cache = tmp_path / "cache"
        results: list[LipSyncResult | None] = []

        def report(done: int, total: int, what: str) -> None:
            if what == "mouths" and done > 1500 and not results:
                results.append(None)
                results[0] = plain(cache=cache).sync(SyncRequest(film, speech), tmp_path / "second.mp4")

        first = plain(cache=cache).sync(SyncRequest(film, speech), tmp_path / "first.mp4", report)
        assert results[0] is not None and results[0].frames_changed == first.frames_changed == COUNT
        assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "second.mp4").read_bytes()
        assert [path.name[:6] for path in cache.iterdir()] == ["faces-"]

    @pytest.mark.parametrize("at", [0, 700, 1500, 2500])
    def test_a_cancelled_job_leaves_nothing_half_written(
        self, tmp_path: Path, film: Path, speech: Path, at: int
    ) -> None:
        out, cache = tmp_path / "out" / "out.mp4", tmp_path / "cache"
        out.parent.mkdir()
        out.write_bytes(b"what was there")

        def report(done: int, total: int, what: str) -> None:
            if done >= at:
                raise CancelledError("Stopped.")

        with pytest.raises(CancelledError):
            plain(cache=cache).sync(SyncRequest(film, speech), out, report)
        assert [path.name for path in out.parent.iterdir()] == ["out.mp4"] and out.read_bytes() == b"what was there"
        left = [path for path in cache.rglob("*") if path.is_file()] if cache.exists() else []
        assert all(path.suffix == ".npz" and not path.name.startswith(".") for path in left)

    def test_reports_go_from_nothing_to_all_and_never_back(self, tmp_path: Path, film: Path, speech: Path) -> None:
        told: list[float] = []
        plain().sync(SyncRequest(film, speech), tmp_path / "out.mp4", lambda done, total, _: told.append(done / total))
        assert told == sorted(told) and told[0] < 0.1 and told[-1] == 1

    def test_times_of_stages_make_up_the_whole(self, tmp_path: Path, film: Path, speech: Path) -> None:
        made = plain().sync(SyncRequest(film, speech), tmp_path / "out.mp4")
        assert list(made.stages_s) == ["faces", "speech", "mouths", "film", "measuring"]
        assert 0.7 * made.seconds_taken < sum(made.stages_s.values()) <= made.seconds_taken + 0.01
