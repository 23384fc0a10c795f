"""What is decided before the first mouth is made, at a cost for each picture that does not grow with the film."""

from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from core.lip_sync.config import SyncConfig
from core.lip_sync.job import Job, timelines
from core.lip_sync.request import SyncRequest, chosen_tracks
from core.lip_sync.speech import DrivingSpeech
from core.lip_sync.tracks import FaceTrack, FaceTracks
from core.media import MediaInfo, Shown, Timeline

SPEECH = DrivingSpeech(np.zeros((20, 100), np.float32), Fraction(1))
REQUEST = SyncRequest(Path("film.mp4"), Path("speech.wav"))


def track(number: int, start: int, stop: int, width_px: float = 100.0) -> FaceTrack:
    boxes = np.tile(np.array([0, 0, width_px, width_px], np.float32), (stop - start, 1))
    return FaceTrack(number, start, boxes, np.zeros((stop - start, 81, 2), np.float32), np.ones(stop - start, np.bool_))


def film(shots: int, each: int) -> FaceTracks:
    """A film of shots with one face each, 25 a second."""
    tracks = tuple(track(n, n * each, (n + 1) * each) for n in range(shots))
    count = shots * each
    return FaceTracks(tracks, count, tuple(range(each, count, each)), tuple(Fraction(n, 25) for n in range(count)))


def info(frames: int) -> MediaInfo:
    length_s = Fraction(frames, 25)
    words = ("h264", "yuv420p", False, False, None, False)
    return MediaInfo(Path("film.mp4"), "mp4", length_s, Fraction(25), False, 192, 160, 0, *words)


def job_of(faces: FaceTracks, order: list[int] | None = None) -> Job:
    sources = order or list(range(faces.frame_count))
    plan = Timeline(tuple(Shown(s, Fraction(n, 25)) for n, s in enumerate(sources)), Fraction(len(sources), 25))
    return Job(REQUEST, faces, faces.tracks, {t.number: SPEECH for t in faces.tracks}, plan, plan)


def test_faces_of_a_picture_are_those_of_a_slow_search() -> None:
    faces = film(4, 5)
    job = job_of(faces, [*range(20), *range(18, -1, -1)])
    for frame, shown in enumerate(job.plan.shown):
        assert sorted(job.faces_at(frame)) == sorted(faces.faces_at(shown.source))


def test_a_picture_follows_its_neighbours_in_its_shot_and_no_other() -> None:
    """Forwards, a seam, a picture shown again, and backwards over a cut."""
    job = job_of(film(2, 4), [0, 1, 2, 0, 0, 3, 4, 5, 4, 3, 2])
    assert [job.follows(n) for n in range(11)] == [
        False,
        True,
        True,
        False,
        True,
        False,
        False,
        True,
        True,
        False,
        True,
    ]
    assert job.cuts == (3, 5, 6, 9)


def test_a_picture_costs_in_two_hours_what_it_costs_in_a_minute() -> None:
    costs = {}
    for shots in (10, 1200):
        job = job_of(film(shots, 150))
        job.faces_at(0)
        begin = perf_counter()
        for frame in np.linspace(0, len(job.plan.shown) - 1, 300).astype(int):
            job.faces_at(int(frame))
            job.middle_s(int(frame))
            job.follows(int(frame))
        costs[shots] = perf_counter() - begin
    assert costs[1200] < 10 * costs[10]


@pytest.mark.parametrize(
    ("tracks", "chosen"),
    [
        ([(0, 0, 50, 100), (1, 0, 50, 80)], {0}),
        ([(0, 0, 20, 100), (1, 10, 50, 100), (2, 22, 50, 60)], {1}),
        ([(0, 0, 20, 100), (1, 20, 50, 100)], {0, 1}),
        ([(0, 0, 50, 30), (1, 20, 30, 200)], {1}),
    ],
    ids=["the largest", "the longest", "both, as one is away", "the one that takes up most"],
)
def test_who_speaks_where_nobody_is_chosen(tracks: list[tuple[int, int, int, float]], chosen: set[int]) -> None:
    faces = FaceTracks(tuple(track(*one) for one in tracks), 50, (), tuple(Fraction(n, 25) for n in range(50)))
    assert {one.number for one in chosen_tracks(faces, REQUEST, "film.mp4")} == chosen


@pytest.mark.parametrize(
    ("said_s", "shown"), [(Fraction(1), 50), (Fraction(203, 100), 50), (Fraction(2041, 1000), 52), (Fraction(3), 75)]
)
def test_a_film_is_not_prolonged_by_what_a_coder_adds(said_s: Fraction, shown: int) -> None:
    plan, written = timelines(info(50), film(1, 50), said_s, REQUEST, SyncConfig())
    assert len(plan.shown) == len(written.shown) == shown


def test_a_test_ends_where_it_should_and_looks_a_little_ahead() -> None:
    request = SyncRequest(Path("film.mp4"), Path("speech.wav"), seconds=0.44)
    plan, written = timelines(info(50), film(1, 50), Fraction(9), request, SyncConfig())
    assert len(written.shown) == 11 and len(plan.shown) == 15
    assert plan.shown[:11] == written.shown
