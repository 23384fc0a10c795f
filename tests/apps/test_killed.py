"""The app killed in the midst of each tool's jobs: results stay, libraries open, what was unfinished runs again.

Adding videos, and jobs that only wait at the kill, are those of `test_restart`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.client import Job

from core.personal_video.concepts import ConceptDatabase
from core.personal_video.film import read_settings
from tests.apps.served import PATIENCE_S, Served, wait_for
from tests.apps.test_lip_sync import ASSETS, probe_speech_s
from tests.apps.test_lip_sync import film as talking_head
from tests.factories import moving_clip
from tests.music_matching.makers import film, groove_file, spoken
from tests.personal_video.conftest import disc, saved

Answer = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """One call of an endpoint, and what is to be told of its whole answer."""

    endpoint: str
    inputs: Answer
    tells: Callable[[Answer], Any]
    whole: Any

    def submit(self, client: Client) -> Job:
        return client.submit(api_name=f"/{self.endpoint}", **self.inputs)


@dataclass(frozen=True)
class Trade:
    """What a tool is asked for: one thing that is done when the kill comes, and some that it comes into the midst of.

    Attributes:
        first: is done.
        rest: of the answer of ``first``, what runs at the kill, all of it at once.
        lists: the endpoint that lists the tool's library, or nothing.
        asks: what it is asked with.
        listed: of the answer of ``first``, the ids that must be listed.
    """

    first: Wish
    rest: Callable[[Answer], list[Wish]]
    lists: str = ""
    asks: tuple[Any, ...] = ("", 60)
    listed: Callable[[Answer], set[str]] = lambda answer: {row["id"] for row in answer["results"]}


def files_of(answer: Answer) -> list[str]:
    return [row["file"] for row in answer["results"]]


def scoring(folder: Path) -> Trade:
    """Quality: one film, then several."""
    films = [moving_clip(folder / f"film{n}.mp4", duration_s=8, frame_rate=12, seed=80 + n) for n in range(5)]

    def score(chosen: list[Path]) -> Wish:
        inputs = {"videos": [handle_file(str(film)) for film in chosen]}
        return Wish("video_quality_score", inputs, files_of, [film.name for film in chosen])

    return Trade(score(films[:1]), lambda answer: [score(films)])


def music(folder: Path) -> Trade:
    """Music: a track is added, then more are, while the first is laid under a film."""
    tracks = [groove_file(folder / f"groove{n}.wav", 30, 70 + 30 * n) for n in range(4)]
    trip = film(folder / "trip.mp4", 20, (2.0, 4.0), spoken(20, 0.5))

    def add(chosen: list[Path]) -> Wish:
        inputs = {"tracks": [handle_file(str(track)) for track in chosen], "licence": "CC0", "credit": ""}
        return Wish("music_matching_add", inputs, files_of, [track.name for track in chosen])

    def lay(answer: Answer) -> Wish:
        inputs = {"video": handle_file(str(trip)), "track_id": answer["results"][0]["id"], "start_s": -1}
        return Wish("music_matching_lay", inputs, lambda laid: (laid["title"], laid["duration_s"]), ("groove0", 20))

    return Trade(add(tracks[:1]), lambda answer: [lay(answer), add(tracks[1:])], "music_matching_list")


def speaking(folder: Path) -> Trade:
    """Lip-sync: the first half second of a film, then all of it."""
    given = {"face": talking_head(folder / "talk.mp4", coffee=0), "speech": ASSETS / "sample_en.wav"}

    def say(duration_s: float, seconds: float = 0) -> Wish:
        inputs = {name: handle_file(str(file)) for name, file in given.items()} | {"consent": True, "seconds": seconds}
        return Wish("lip_sync_sync", inputs, lambda made: round(made["duration_s"], 1), duration_s)

    return Trade(say(0.5, 0.5), lambda answer: [say(round(float(probe_speech_s()), 1))])


def texts(answer: Any) -> Iterator[str]:
    """All texts in an answer."""
    if isinstance(answer, dict | list):
        for value in answer.values() if isinstance(answer, dict) else answer:
            yield from texts(value)
    elif isinstance(answer, str):
        yield answer


def named(answer: Any) -> Any:
    """An answer with the names of files in place of their paths, which are others where a result is kept."""
    if isinstance(answer, dict):
        return {key: named(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [named(value) for value in answer]
    return Path(answer).name if isinstance(answer, str) and answer.startswith("/") else answer


def imagining(folder: Path) -> Trade:
    """Personal video: a video in two steps, then two in many, of a concept that was there before."""
    concepts = ConceptDatabase(folder / "kept" / "concepts")
    concept = concepts.add("biscuit", [saved(folder, "biscuit.png", disc((200, 30, 30)))])

    def generate(seed: int, steps: int) -> Wish:
        inputs = {"prompt": "<biscuit> hops", "image": None, "shows": "", "seed": seed, "steps": steps}
        guidance = {"text_guidance": 0, "subject_guidance": 0}

        def tells(made: Answer) -> Any:
            settings = read_settings(made["file"])
            return made["finished"], settings.words, settings.seed, settings.steps

        return Wish("personal_video_generate", inputs | guidance, tells, (True, ("biscuit",), seed, steps))

    return Trade(generate(1, 2), lambda answer: [generate(seed, 24) for seed in (2, 3)], "personal_video_concepts", (),
                 lambda answer: {concept.id})  # fmt: skip


@pytest.mark.parametrize("trade_of", [scoring, music, speaking, imagining])
def test_a_kill_in_the_midst_of_a_job_costs_that_job_alone_and_it_can_be_run_again(
    trade_of: Callable[[Path], Trade], tmp_path: Path
) -> None:
    trade, kept, flags = trade_of(tmp_path), tmp_path / "kept", ("--jobs", "2")
    with Served(kept, *flags) as server:
        client = server.client()
        first = trade.first.submit(client)
        answer = first.result(PATIENCE_S)
        assert trade.first.tells(answer) == trade.first.whole
        wishes = trade.rest(answer)
        running = [wish.submit(client) for wish in wishes]

        def in_the_midst() -> bool:
            ids = [job.communicator.event_id for job in running]
            told = [client.predict(job_id, api_name="/job") for job_id in ids if job_id]
            return [job["progress"]["done"] > 0 for job in told if job["state"] == "running"] == [True] * len(wishes)

        wait_for(in_the_midst)
        server.kill()
    with Served(kept, *flags) as server:
        client, stranger = server.client(client.session_hash), server.client()
        again = stranger.predict(first.communicator.event_id, api_name="/job")
        assert again["state"] == "done" and named(again["result"]) == named(answer)
        assert all(Path(text).is_file() for text in texts(again["result"]) if text.startswith("/"))
        if trade.lists:
            listed = stranger.predict(*trade.asks, api_name=f"/{trade.lists}")["results"]
            assert trade.listed(answer) <= {row["id"] for row in listed}
        jobs = {job["id"]: job for job in client.predict(api_name="/jobs")["results"]}
        for job, wish in zip(running, wishes, strict=True):
            job_id = job.communicator.event_id
            assert (jobs[job_id]["endpoint"], jobs[job_id]["state"]) == (wish.endpoint, "interrupted")
            assert "Run it again" in jobs[job_id]["error"]
            assert wish.tells(client.predict(job_id, api_name="/job_again")) == wish.whole
        listed = client.predict(api_name="/jobs")["results"]
        assert [job["state"] for job in listed] == ["done"] * (1 + len(wishes))
