"""The app as a process: killed in the midst of a job and started again, and asked to stop."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import handle_file

from tests.apps.served import PATIENCE_S, Served, wait_for
from tests.factories import moving_clip
from tests.scenes import scene

FILMS = 5


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Films long enough that a server can be killed between two of them."""
    folder = tmp_path_factory.mktemp("films")
    return [moving_clip(folder / f"film{n}.mp4", duration_s=8, frame_rate=12, seed=80 + n) for n in range(FILMS)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "kept"


def test_after_a_kill_libraries_open_results_are_there_and_the_unfinished_job_goes_on(
    folder: Path, films: list[Path], tmp_path: Path
) -> None:
    """And a server that is asked to stop finishes the job that runs."""
    harbour = scene(tmp_path / "harbour.mp4", "harbour")
    with Served(folder, "--jobs", "1") as server:
        client = server.client()
        done = client.submit([handle_file(str(harbour))], "port", api_name="/video_search_add")
        (row,) = done.result(PATIENCE_S)["results"]
        killed = client.submit([handle_file(str(film)) for film in films], "", api_name="/video_search_add")
        wait_for(lambda: server.figure("showreel_jobs_running") == 1)
        client.submit([handle_file(str(harbour))], 0, api_name="/video_quality_score")
        wait_for(lambda: server.figure("showreel_jobs_waiting") == 1 and killed.outputs())
        number = killed.communicator.event_id
        wait_for(lambda: client.predict(number, api_name="/job")["progress"]["done"] >= 1)
        session = client.session_hash
        server.kill()
    with Served(folder, "--jobs", "1", "--grace-s", str(PATIENCE_S)) as server:
        client = server.client(session)
        told = {job["endpoint"]: job for job in client.predict(api_name="/jobs")["results"][:2]}
        added, scored = told["video_search_add"], told["video_quality_score"]
        assert [added["state"], scored["state"]] == ["interrupted", "interrupted"]
        assert added["error"].endswith("Run it again; it goes on from where it was.")
        other = server.client()
        again = other.predict(done.communicator.event_id, api_name="/job")
        assert [again["state"], again["result"]["results"]] == ["done", [row]]
        titles = {video["title"] for video in other.predict("", 60, api_name="/video_search_list")["results"]}
        assert {"harbour", "film0"} <= titles < {"harbour", *(film.stem for film in films)}
        resumed = client.submit(added["id"], api_name="/job_again")
        wait_for(lambda: resumed.communicator.event_id and server.figure("showreel_jobs_running") == 1)
        server.ask_to_stop()
        answer = resumed.result(PATIENCE_S)
        assert [row["file"] for row in answer["results"]] == [film.name for film in films] and not answer["stopped"]
        assert answer["results"][0]["status"] == "known"
        assert server.process.wait(PATIENCE_S) == 0
        ended = [told["state"] for told in server.log() if told["message"].startswith("job ")]
        assert ended.count("interrupted") == 2 and ended[-1] == "done"
