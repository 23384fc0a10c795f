"""What all jobs have in common: results that wait for whoever asks, limits, stopping, shutting down, figures."""

import concurrent.futures
import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from apps.desk import CLOSING, NEVER_BEGUN
from apps.keeping import register_folder
from apps.logs import JsonLines
from apps.runtime import OUTPUT_AGE_S
from tests.apps.bench import Bench, benches
from tests.apps.served import wait_for

Make = Callable[..., Bench]


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ.setdefault("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
    yield


@pytest.fixture
def make(uploads: None) -> Iterator[Make]:
    with benches() as make:
        yield make


@pytest.fixture
def bench(make: Make, tmp_path: Path) -> Bench:
    return make(tmp_path, jobs=2, jobs_per_session=2)


def test_a_result_is_fetched_again_by_id_by_another_client_even_when_its_first_file_is_gone(bench: Bench) -> None:
    client = bench.client()
    submitted, job_id = bench.start(client, "harbour")
    half_way = bench.ask(job_id)
    assert [half_way["state"], half_way["result"], half_way["progress"]["what"]] == ["running", None, "harbour"]
    bench.tool.gate.set()
    answer = submitted.result(60)
    shutil.rmtree(Path(answer["file"]).parent)
    told = bench.ask(job_id)
    assert [told["state"], told["endpoint"], told["error"]] == ["done", "bench_wait", ""]
    assert told["result"]["word"] == "harbour" and told["result"]["file"] != answer["file"]
    assert bench.file(told["result"]["file"]).text == "harbour"
    (row,) = client.predict(api_name="/jobs")["results"]
    assert row["id"] == job_id and "result" not in row
    assert bench.client().predict(api_name="/jobs")["results"] == []


def test_nobody_is_served_the_register_nor_a_job_whose_id_was_guessed(bench: Bench) -> None:
    file = register_folder(bench.settings) / "jobs.sqlite"
    assert file.exists() and bench.file(str(file)).status_code == 403
    with pytest.raises(AppError, match="There is no job 'guess'"):
        bench.ask("guess")


@pytest.mark.parametrize(("endpoint", "given", "last"), [("bench_wait", "alone", "alone"),
                                                         ("bench_each", ["a", "b", "c"], "c")])  # fmt: skip
def test_a_job_goes_on_to_its_end_when_whoever_asked_has_gone(
    bench: Bench, endpoint: str, given: object, last: str
) -> None:
    call = f"{bench.url}/gradio_api/call/{endpoint}"
    job_id = httpx.post(call, json={"data": [given]}).json()["event_id"]
    with httpx.stream("GET", f"{call}/{job_id}") as stream:
        wait_for(lambda: bench.state(job_id) == "running")
        if endpoint == "bench_each":
            assert next(stream.iter_lines()) == "event: generating"
    bench.tool.gate.set()
    wait_for(lambda: bench.state(job_id) == "done")
    result = bench.ask(job_id)["result"]
    assert (result["results"][-1] if "results" in result else result["word"]) == last


def test_beyond_its_share_a_session_is_told_so_and_another_one_is_served(bench: Bench) -> None:
    client, other = bench.client(), bench.client()
    first = [bench.start(client, word)[0] for word in ("one", "two")]
    with pytest.raises(AppError, match="2 jobs are waiting or running for you, which is the limit"):
        client.predict("three", api_name="/bench_wait")
    others = other.submit("four", api_name="/bench_wait")
    bench.tool.gate.set()
    assert [submitted.result(60)["word"] for submitted in (*first, others)] == ["one", "two", "four"]
    assert client.predict("five", api_name="/bench_wait")["word"] == "five"


def test_a_session_that_asks_many_times_at_once_gets_no_more_than_its_share(bench: Bench) -> None:
    client = bench.client()

    def ask(number: int) -> str:
        try:
            return str(client.predict(str(number), api_name="/bench_wait")["word"])
        except AppError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(8)]
        wait_for(lambda: sum(one.done() for one in asked) == 6)
        bench.tool.gate.set()
    answers = [one.result() for one in asked]
    assert sum("which is the limit here" in answer for answer in answers) == 6
    assert sum(answer.isdigit() for answer in answers) == 2


def test_beyond_its_rate_a_session_is_told_so_over_http_too(make: Make, tmp_path: Path) -> None:
    bench = make(tmp_path, requests_per_minute=3)
    client = bench.client()
    for _ in range(3):
        client.predict(api_name="/jobs")
    with pytest.raises(AppError, match="more than 3 times within a minute"):
        client.predict(api_name="/jobs")
    assert bench.client().predict(api_name="/jobs") == {"results": []}
    call = f"{bench.url}/gradio_api/call/bench_wait"
    body = {"data": ["x"], "session_hash": client.session_hash}
    refused = httpx.post(call, json=body).json()["event_id"]
    assert "more than 3 times within a minute" in httpx.get(f"{call}/{refused}").text
    assert 'showreel_refused_total{reason="rate"} 2.0' in httpx.get(f"{bench.url}/metrics").text


def test_a_job_that_reaches_its_time_limit_is_stopped_with_a_sentence(make: Make, tmp_path: Path) -> None:
    bench = make(tmp_path, job_timeout_s=1)
    client = bench.client()
    with pytest.raises(AppError, match=r"Stopped at the time limit of 1 s after \d+ of 100000 \(slow\)"):
        client.predict("slow", api_name="/bench_wait")
    answer = client.predict(["a", "b", "c"], api_name="/bench_each")
    assert answer == {"results": ["a", "b"], "stopped": True}
    partial, failed = client.predict(api_name="/jobs")["results"]
    assert [partial["state"], failed["state"]] == ["cancelled", "cancelled"]
    assert partial["error"].startswith("Stopped at the time limit of 1 s; what was finished before is kept")
    assert bench.ask(partial["id"])["result"]["results"] == ["a", "b"]


def test_whoever_knows_its_id_stops_a_job_that_runs_and_one_that_waits(make: Make, tmp_path: Path) -> None:
    bench = make(tmp_path, jobs=1)
    client = bench.client()
    submitted, running = bench.start(client, "first")
    other = client.submit("second", api_name="/bench_wait")
    waiting = wait_for(lambda: other.communicator.event_id)
    wait_for(lambda: bench.state(waiting) == "queued")
    assert "showreel_jobs_waiting 1.0" in httpx.get(f"{bench.url}/metrics").text
    for job_id in (waiting, running):
        assert bench.client().predict(job_id, api_name="/job_stop") == {"stopped": 1}
    for stopped in (submitted, other):
        with pytest.raises(AppError, match="Stopped at your request"):
            stopped.result(60)
    assert [bench.state(running), bench.state(waiting)] == ["cancelled", "cancelled"]
    assert bench.client().predict(running, api_name="/job_stop") == {"stopped": 0}


def test_a_job_whose_page_was_closed_before_it_began_is_listed_as_never_begun(make: Make, tmp_path: Path) -> None:
    bench = make(tmp_path, jobs=1)
    bench.start(bench.client(), "first")
    call = f"{bench.url}/gradio_api/call/bench_wait"
    job_id = httpx.post(call, json={"data": ["second"]}).json()["event_id"]
    with httpx.stream("GET", f"{call}/{job_id}"):
        assert bench.ask(job_id)["state"] == "queued"
    told = wait_for(lambda: (job := bench.ask(job_id))["state"] != "queued" and job)
    assert [told["state"], told["error"]] == ["cancelled", NEVER_BEGUN]


def test_an_error_is_written_down_and_a_fault_of_the_app_is_logged_but_not_shown(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client, film = bench.client(), tmp_path / "letter.mp4"
    film.write_text("no film")
    with pytest.raises(AppError, match=r"letter\.mp4 is not a film"):
        client.predict(handle_file(str(film)), False, api_name="/bench_fail")
    with pytest.raises(AppError, match="a fault of the app") as shown:
        client.predict(None, True, api_name="/bench_fail")
    fault, error = client.predict(api_name="/jobs")["results"]
    assert [error["state"], error["inputs"]] == ["failed", ["letter.mp4"]]
    assert "letter.mp4 is not a film" in error["error"] and fault["id"] in str(shown.value)
    assert "secret of the house" not in str(shown.value) + fault["error"]
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    told = json.loads(JsonLines().format(record))
    assert told["job"] == fault["id"] and "secret of the house" in told["traceback"]


def test_a_failed_job_is_run_again_with_the_file_that_was_kept_for_it(bench: Bench, tmp_path: Path) -> None:
    client, film = bench.client(), tmp_path / "letter.mp4"
    film.write_text("no film")
    with pytest.raises(AppError):
        client.predict(handle_file(str(film)), False, api_name="/bench_fail")
    (first,) = client.predict(api_name="/jobs")["results"]
    shutil.rmtree(os.environ["GRADIO_TEMP_DIR"])
    with pytest.raises(AppError, match=r"letter\.mp4 is not a film"):
        client.predict(first["id"], api_name="/job_again")
    (again,) = client.predict(api_name="/jobs")["results"]
    assert again["id"] != first["id"]
    assert [again[name] for name in ("endpoint", "inputs", "state")] == ["bench_fail", ["letter.mp4"], "failed"]
    (kept,) = bench.desk.folder.rglob("letter.mp4")
    assert kept.is_relative_to(bench.desk.folder / again["id"]) and kept.read_text() == "no film"


def test_a_path_that_somebody_wrote_as_text_is_neither_named_nor_kept(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not for you")
    client = bench.client()
    _, job_id = bench.start(client, str(secret))
    client.predict(job_id, api_name="/job_stop")
    wait_for(lambda: bench.state(job_id) == "cancelled")
    assert bench.ask(job_id)["inputs"] == [] and not list(bench.desk.folder.rglob("secret*"))
    asked = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    call = f"{bench.url}/gradio_api/call/bench_fail"
    refused = httpx.post(call, json={"data": [asked, False]}).json()["event_id"]
    assert "event: error" in httpx.get(f"{call}/{refused}").text
    assert not list(bench.desk.folder.rglob("secret*"))


def test_at_a_shutdown_running_jobs_finish_and_nothing_new_begins(make: Make, tmp_path: Path) -> None:
    bench = make(tmp_path, jobs=1, grace_s=30)
    client = bench.client()
    running, first = bench.start(client, "first")
    waiting = client.submit("second", api_name="/bench_wait")
    wait_for(lambda: waiting.communicator.event_id)
    closing = threading.Thread(target=bench.desk.close)
    closing.start()
    wait_for(lambda: bench.desk.closing)
    with pytest.raises(AppError, match=re.escape(CLOSING)):
        bench.client().predict("third", api_name="/bench_wait")
    bench.tool.gate.set()
    assert running.result(60)["word"] == "first"
    with pytest.raises(AppError, match=re.escape(CLOSING)):
        waiting.result(60)
    closing.join(60)
    assert bench.ask(first)["state"] == "done"
    second = bench.ask(waiting.communicator.event_id)
    assert [second["state"], second["error"]] == [
        "interrupted", "The server was stopped before this was done. Run it again."]  # fmt: skip


def test_what_the_grace_period_is_too_short_for_is_interrupted_and_run_again_after_the_restart(
    make: Make, tmp_path: Path
) -> None:
    bench = make(tmp_path, grace_s=0)
    submitted, job_id = bench.start(bench.client(), "long")
    bench.desk.close()
    with pytest.raises(AppError, match="Stopped because the server is shutting down"):
        submitted.result(60)
    restarted = make(tmp_path)
    restarted.tool.gate.set()
    told = restarted.ask(job_id)
    assert told["state"] == "interrupted" and told["error"].endswith("Run it again.")
    assert restarted.client().predict(job_id, api_name="/job_again")["word"] == "long"
    with pytest.raises(AppError, match="There is no job"):
        restarted.ask(job_id)


def test_the_folder_of_a_job_goes_with_it_when_it_is_old(bench: Bench) -> None:
    bench.tool.gate.set()
    submitted = bench.client().submit("old", api_name="/bench_wait")
    submitted.result(60)
    job_id = submitted.communicator.event_id
    assert (bench.desk.folder / job_id).is_dir()
    bench.desk.register.update(job_id, ended_s=time.time() - OUTPUT_AGE_S - 1)
    bench.desk.sweep()
    assert not (bench.desk.folder / job_id).exists()
