"""Many clients at once, each asking for something else: is anything lost, crossed or unbounded; how long is the wait?

    python -m tests.benchmarks.mixed_load [--minutes 2] [--clients 20] [--jobs 2] [--max-waiting 20]
                                          [--most-memory-mb 8192] [--most-disk-mb 4096]

Starts the app on loopback with folders of its own, lets the clients call the endpoints of all tools with a tab in turn
with small made clips, one call at a time each, and prints Markdown tables. Every client has two clips, a piece of
music, a face, a sentence to speak and a video to be made of its own, told from all others by their names and by what is
in them. Checked are:

- crossed: an answer names another client's clip, or a clip's score or id is not what it was the first time; what is
  spoken may differ by a few hundredths of a second, since the voice never says a text quite alike, and is half a second
  longer from one client to the next;
- lost: a job that was answered, or whose client went away at once, is not there when its id is asked for;
- unstated: an error other than a limit's own sentence, or a client that ended before its time; for a fault of the app
  the server's log is shown;
- unbounded: more memory or disk than was allowed for. What is made for a request is kept for hours, so the disk that is
  needed grows with the length of the run.

The exit status is 1 if there is one of these. When the time is over every client ends the call that it is at, so a run
takes a minute or two longer than was said, and half a minute before for the clips and the start. Waits and runs are
those of the register; memory and disk are read every two seconds, the disk being that of the output folder and of the
uploads.
"""

import argparse
import collections
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_client.utils import QueueError

from core.digest import sha256_of
from core.media import probe
from tests.apps.served import PATIENCE_S, Served
from tests.apps.test_lip_sync import ASSETS
from tests.apps.test_lip_sync import film as talking_head
from tests.factories import moving_clip
from tests.music_matching.makers import groove_file

LIMITS = ("which is the limit here", "Queue is full", "Too many", "takes no new jobs")
VOICE_S = 0.1
"""How far apart two utterances of one text may be; measured: 0.02 s over 800 of them."""
WATCH_S = 2.0
MEGA = 2**20
GROWTH = 1.15
"""Memory of the last quarter, in that of the one before; more is a leak."""


@dataclass
class Tally:
    """What all clients saw, filled in by all of them at once.

    Attributes:
        waits: seconds that jobs waited, by endpoint.
        runs: seconds that they ran.
        limits: calls that a limit refused, by its sentence.
        faults: what should not have been, a line each.
        memory: bytes of the server's memory, over time.
        disk: bytes of its output and uploads, over time.
        log: the lines of the server's log that tell a fault of the app.
    """

    waits: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    runs: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    limits: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    disk: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Luggage:
    """What a client brings, all of it like no other client's.

    Attributes:
        clips: two films.
        track: a piece of music.
        face: a film of a head, 3 to 7 pictures at 10 a second.
    """

    clips: list[Path]
    track: Path
    face: Path


class Visitor:
    """One client, which asks for one thing after another."""

    def __init__(self, number: int, server: Served, tally: Tally, luggage: Luggage) -> None:
        self.number, self.name, self.server, self.tally = number, f"client{number:02}", server, tally
        self.clips, self.track, self.face = luggage.clips, luggage.track, luggage.face
        self.client: Client = server.client()
        self.known: dict[str, Any] = {}
        self.calls: list[Callable[[], None]] = [self.add, self.score, self.hear, self.render, self.find, self.listing,
                                                self.compare, self.match, self.recommend, self.speak, self.lay,
                                                self.inspect, self.imagine, self.go_away]  # fmt: skip
        first = number % len(self.calls)
        self.calls = self.calls[first:] + self.calls[:first]

    def run(self, until_s: float) -> None:
        """Call by call, until it is late enough."""
        while time.monotonic() < until_s:
            for call in self.calls:
                if time.monotonic() < until_s:
                    self.carefully(call)

    def carefully(self, call: Callable[[], None]) -> None:
        try:
            call()
        except (AppError, QueueError, ValueError, httpx.HTTPError) as error:
            stated = next((limit for limit in LIMITS if limit in str(error)), "")
            if stated:
                self.tally.limits[stated] += 1
            else:
                self.tally.faults.append(f"unstated: {self.name} {call.__name__}: {error!r}")

    def ask(self, endpoint: str, *inputs: Any, **named: Any) -> Any:
        """The answer of a job, after the same was fetched once more by its id."""
        submitted = self.client.submit(*inputs, api_name=f"/{endpoint}", **named)
        answer = submitted.result()
        self.again(submitted.communicator.event_id, answer)
        return answer

    def again(self, job_id: str, answer: Any = None) -> Any:
        job = self.client.predict(job_id, api_name="/job")
        self.tally.waits[job["endpoint"]].append(job["waited_s"])
        self.tally.runs[job["endpoint"]].append(job["seconds"])
        if job["state"] != "done" or (answer is not None and names(job["result"]) != names(answer)):
            self.tally.faults.append(f"lost: {self.name} {job['endpoint']} {job_id} is {job['state']}: {job['error']}")
        return job["result"]

    def same(self, what: str, value: Any) -> None:
        """Note what a clip gave the first time, and complain when it gives something else."""
        if self.known.setdefault(what, value) != value:
            self.tally.faults.append(f"crossed: {self.name} {what}: {value!r}, before {self.known[what]!r}")

    def add(self) -> None:
        clip = self.clips[0]
        answer = self.ask("video_search_add", [handle_file(str(clip))], self.name)
        self.same("added file", [row["file"] for row in answer["results"]])
        self.same("id", answer["results"][0]["id"])

    def find(self) -> None:
        answer = self.ask("video_search_find", handle_file(str(self.clips[0])), 1, self.name)
        if "id" in self.known:
            self.same("id", answer["query"]["id"])
            self.same("found", [row["id"] for row in answer["results"]])

    def score(self) -> None:
        answer = self.ask("video_quality_score", [handle_file(str(clip)) for clip in self.clips], 0)
        self.same("scored files", [row["file"] for row in answer["results"]])
        self.same("scores", [round(row["score"], 3) for row in answer["results"]])

    def compare(self) -> None:
        answer = self.ask("video_quality_compare", *(handle_file(str(clip)) for clip in self.clips), 0)
        self.same("scores", [round(row["score"], 3) for row in answer["results"]])

    def speak(self) -> None:
        """Numbers to the one that is the client's own: who has a higher one speaks longer."""
        said = ", ".join(map(str, range(1, self.number + 2)))
        told_s = self.ask("lip_sync_speak", f"{said}.", "en", "", 160, 50)["duration_s"]
        if abs(self.known.setdefault("speech", told_s) - told_s) > VOICE_S:
            self.tally.faults.append(f"crossed: {self.name} speech: {told_s} s, before {self.known['speech']} s")

    def imagine(self) -> None:
        """The same words and seed make the same video, byte by byte."""
        prompt, seed = f"It is {self.name}.", 1000 + self.number
        answer = self.ask("personal_video_generate", prompt, None, "", seed, 2, 0, 0)
        self.same("prompt and seed", (answer["prompt"], answer["seed"]))
        self.same("made video", sha256_of(answer["file"]))

    def inspect(self) -> None:
        answer = self.ask("lip_sync_inspect", handle_file(str(self.face)))
        self.same("title of the face", answer["title"])
        self.same("pictures of the face", answer["frame_count"])

    def render(self) -> None:
        inputs = {"face": handle_file(str(self.face)), "speech": handle_file(str(ASSETS / "sample_en.wav"))}
        answer = self.ask("lip_sync_sync", consent=True, seconds=float(probe(self.face).duration_s), **inputs)
        self.same("title of the render", answer["title"])
        self.same("pictures of the render", (answer["frame_count"], answer["frames_changed"]))

    def hear(self) -> None:
        answer = self.ask("music_matching_add", [handle_file(str(self.track))], "CC0", self.name)
        self.same("added track", [row["file"] for row in answer["results"]])
        self.same("track", answer["results"][0]["id"])

    def match(self) -> None:
        """All tracks are everybody's, so only the film is told from those of others."""
        answer = self.ask("music_matching_match", handle_file(str(self.clips[0])), 2, "")
        self.same("title of the film", answer["query"]["title"])

    def lay(self) -> None:
        if "track" in self.known:
            film, track = handle_file(str(self.clips[1])), self.known["track"]
            answer = self.ask("music_matching_lay", film, track, 0, "replace", 0, -12, 0.5)
            self.same("track", answer["track_id"])
            self.same("laid film", Path(answer["file"]).name)

    def listing(self) -> None:
        rows = self.client.predict(self.name, 60, api_name="/video_search_list")["results"]
        if "id" in self.known:
            self.same("listed", [row["title"] for row in rows])

    def recommend(self) -> None:
        if "id" in self.known:
            answer = self.client.predict(self.known["id"], 3, "", api_name="/video_search_recommend")
            self.same("id", answer["query"]["id"])

    def go_away(self) -> None:
        """Ask as a browser does that is closed as soon as its job runs; the result is fetched by its id later."""
        clip, call = self.clips[1], f"{self.server.url}/gradio_api/call/video_quality_score"
        uploaded = httpx.post(
            f"{self.server.url}/gradio_api/upload", files={"files": (clip.name, clip.read_bytes())}, timeout=PATIENCE_S
        )
        given = [{"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}]
        asked = httpx.post(call, json={"data": [given, 0]}, timeout=PATIENCE_S)
        if asked.status_code != httpx.codes.OK:
            raise ValueError(asked.text)
        job_id = asked.json()["event_id"]
        self.wait_while(job_id, "queued")
        with httpx.stream("GET", f"{call}/{job_id}", timeout=PATIENCE_S):
            pass
        self.wait_while(job_id, "running")
        if names(answer := self.again(job_id)) != [clip.name]:
            self.tally.faults.append(f"crossed: {self.name} asked for {clip.name} and was given {names(answer)}")

    def wait_while(self, job_id: str, state: str) -> None:
        while self.client.predict(job_id, api_name="/job")["state"] == state:
            time.sleep(0.5)


def names(answer: Any) -> list[str]:
    """The files that an answer speaks of."""
    if not isinstance(answer, dict):
        return []
    rows = answer.get("results") or [answer]
    return [Path(str(row.get("file") or row.get("id"))).name for row in rows]


def watch(server: Served, tally: Tally, stop: threading.Event) -> None:
    """Note memory and disk every `WATCH_S` seconds."""
    while not stop.wait(WATCH_S):
        try:
            tally.memory.append(server.figure("process_resident_memory_bytes"))
            uploads = sum(path.stat().st_size for path in (server.folder / "uploads").rglob("*") if path.is_file())
            tally.disk.append(server.figure("showreel_output_bytes") + uploads)
        except (httpx.TransportError, FileNotFoundError):
            continue


def fault_in(line: str) -> str:
    """A line of the server's log if it tells a fault of the app; otherwise nothing."""
    # What its packages write past the log is no JSON.
    return line if line.startswith("{") and json.loads(line)["level"] in ("error", "critical") else ""


def packed(number: int, folder: Path) -> Luggage:
    """The luggage of a client."""
    name = f"client{number:02}"
    clips = [
        moving_clip(folder / f"{name}-{part}.mp4", 160, 120, 12, 2, seed=1000 + 2 * number + part) for part in range(2)
    ]
    track = groove_file(folder / f"{name}.ogg", 6 + number / 10, 70 + 5 * number)
    return Luggage(clips, track, talking_head(folder / f"{name}-face.mp4", shown=3 + number % 5, coffee=0))


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(tally: Tally) -> str:
    """Waits and runs by endpoint, and of all jobs, in seconds."""
    every = [[value for values in of.values() for value in values] for of in (tally.waits, tally.runs)]
    lines = ["| endpoint | jobs | wait p50 | wait p95 | run p50 | run p95 |", "|---|---:|---:|---:|---:|---:|"]
    rows = [(endpoint, waits, tally.runs[endpoint]) for endpoint, waits in sorted(tally.waits.items())]
    for endpoint, waits, runs in [*rows, ("all", every[0], every[1])] if rows else []:
        figures = (percentile(values, share) for values in (waits, runs) for share in (0.5, 0.95))
        lines.append(f"| {endpoint} | {len(waits)} | " + " | ".join(f"{value:.2f}" for value in figures) + " |")
    return "\n".join(lines)


def quarters(values: list[float]) -> list[float]:
    """The middle of each quarter of a run."""
    quarter = max(1, len(values) // 4)
    return [statistics.median(values[n * quarter : (n + 1) * quarter] or values[-1:]) for n in range(4)]


def course(tally: Tally) -> str:
    """Memory and disk over the four quarters of the run, in megabytes."""
    lines = ["| MB | 1st quarter | 2nd | 3rd | 4th | most |", "|---|---:|---:|---:|---:|---:|"]
    for name, values in (("memory", tally.memory), ("output and uploads", tally.disk)):
        told = (*quarters(values), max(values))
        lines.append(f"| {name} | " + " | ".join(f"{value / MEGA:.0f}" for value in told) + " |")
    return "\n".join(lines)


def measure(folder: Path, clients: int, minutes: float, flags: list[str]) -> Tally:
    """Let the clients ask for so many minutes."""
    tally, stop = Tally(), threading.Event()
    luggage = [packed(number, folder) for number in range(clients)]
    with Served(folder / "kept", *flags) as server:
        visitors = [Visitor(number, server, tally, own) for number, own in enumerate(luggage)]
        until_s = time.monotonic() + 60 * minutes
        watcher = threading.Thread(target=watch, args=(server, tally, stop))
        watcher.start()
        with ThreadPoolExecutor(clients) as pool:
            runs = {visitor.name: pool.submit(visitor.run, until_s) for visitor in visitors}
        tally.faults += [
            f"unstated: {name} ended: {run.exception()!r}" for name, run in runs.items() if run.exception()
        ]
        stop.set()
        watcher.join()
        server.ask_to_stop()
        if (status := server.process.wait()) != 0:
            tally.faults.append(f"unstated: the server ended with status {status}")
        tally.log += [told for line in (server.folder / "log").read_text().splitlines() if (told := fault_in(line))]
    return tally


def main() -> int:
    """Run, print, and tell whether all was well."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.mixed_load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--max-waiting", type=int, default=20)
    parser.add_argument("--most-memory-mb", type=float, default=8192, help="of the server's process")
    parser.add_argument("--most-disk-mb", type=float, default=4096, help="of output and uploads")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--jobs", str(told.jobs), "--max-waiting", str(told.max_waiting)]
        tally = measure(Path(folder), told.clients, told.minutes, flags)
    *_, third, last = quarters(tally.memory)
    if last > GROWTH * third:
        tally.faults.append(f"unbounded: memory rose from {third / MEGA:.0f} to {last / MEGA:.0f} MB in the end")
    for name, values, most in (("memory", tally.memory, told.most_memory_mb), ("disk", tally.disk, told.most_disk_mb)):
        if max(values) > most * MEGA:
            tally.faults.append(f"unbounded: {name} rose to {max(values) / MEGA:.0f} MB")
    refused = ", ".join(f"{count} × “{sentence}”" for sentence, count in tally.limits.items()) or "none"
    print(f"{told.clients} clients, {told.minutes:g} minutes, {told.jobs} jobs at once.\n\n{table(tally)}\n")
    print(f"{course(tally)}\n\nRefused by a stated limit: {refused}.")
    for kind in ("lost", "crossed", "unstated", "unbounded"):
        print(f"{kind.capitalize()}: {sum(fault.startswith(kind) for fault in tally.faults)}.")
    print("\n".join(tally.faults + tally.log), file=sys.stderr)
    return 1 if tally.faults + tally.log else 0


if __name__ == "__main__":
    sys.exit(main())
