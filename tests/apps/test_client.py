"""The endpoints as programs call them, with the Gradio Python client, on real files."""

import asyncio
import concurrent.futures
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from apps import video_search_handlers
from core.video_search import VideoSearch
from tests.apps.conftest import Server, journey, serving
from tests.factories import moving_clip
from tests.scenes import scene

PATIENCE_S = 120
WORDS = ("add", "find", "find_many", "recommend", "mark", "list", "remove", "fine_tune", "cancel")
MUSIC_WORDS = ("add", "match", "lay", "list", "remove", "cancel")
LIP_SYNC_WORDS = ("inspect", "sync", "say", "speak", "voices", "cancel")
PERSONAL_VIDEO_WORDS = ("mode", "generate", "enlarge", "settings", "concepts", "preview", "add", "rename", "remove",
                        "export", "import", "cancel")  # fmt: skip
ENDPOINTS = (
    {f"/video_search_{word}" for word in WORDS}
    | {f"/video_quality_{word}" for word in ("score", "compare", "teachers", "cancel")}
    | {f"/music_matching_{word}" for word in MUSIC_WORDS}
    | {f"/lip_sync_{word}" for word in LIP_SYNC_WORDS}
    | {f"/personal_video_{word}" for word in PERSONAL_VIDEO_WORDS}
    | {"/job", "/jobs", "/job_again", "/job_stop"}
)


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


@pytest.fixture
def tuned_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """A server with a library of its own, since fine-tuning changes what a library is searched with."""
    with serving(tmp_path / "tuned", server.foreign) as tuned:
        yield tuned


@pytest.fixture(scope="module")
def ids(client: Client, clips: dict[str, Path]) -> dict[str, str]:
    """The clips are in the library; title to id."""
    answer = client.predict([handle_file(str(p)) for p in clips.values()], "test", api_name="/video_search_add")
    assert answer["errors"] == []
    return {Path(row["file"]).stem: row["id"] for row in answer["results"]}


def test_every_public_endpoint_is_named_and_typed(client: Client) -> None:
    described: Any = client.view_api(return_format="dict", print_info=False)
    assert set(described["named_endpoints"]) == ENDPOINTS and not described["unnamed_endpoints"]
    parameters = described["named_endpoints"]["/video_search_find"]["parameters"]
    assert [p["python_type"]["type"] for p in parameters] == ["filepath", "float", "str", "Literal['cosine', 'hash']"]


def test_the_endpoints_are_mcp_tools_too(server: Server) -> None:
    async def names() -> set[str]:
        streams = streamablehttp_client(f"{server.url}/gradio_api/mcp/")
        async with streams as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return {tool.name for tool in (await session.list_tools()).tools}

    assert asyncio.run(names()) == {name.removeprefix("/") for name in ENDPOINTS}


def test_a_re_encoded_copy_finds_its_original_first(client: Client, ids: dict[str, str], tmp_path: Path) -> None:
    copy = scene(tmp_path / "copy.mp4", "meadow", size=(160, 120), crf=36)
    answer = client.predict(handle_file(str(copy)), 5, "", api_name="/video_search_find")
    assert [answer["results"][0]["id"], len(answer["results"])] == [ids["meadow"], 5]
    similarities = [row["similarity"] for row in answer["results"]]
    assert similarities == sorted(similarities, reverse=True)
    scores = [row["score"] for row in answer["results"]]
    assert answer["results"][0]["relation"] == "copy" and scores == sorted(scores, reverse=True)


def test_hash_mode_tells_both_times_and_what_it_missed(client: Client, ids: dict[str, str], tmp_path: Path) -> None:
    copy = scene(tmp_path / "copy.mp4", "kitchen", size=(160, 120), crf=36)
    exact, hashed = (
        client.predict(handle_file(str(copy)), 4, "", mode, api_name="/video_search_find")
        for mode in ("cosine", "hash")
    )
    assert set(exact["milliseconds"]) == {"cosine"} and set(hashed["milliseconds"]) == {"cosine", "hash"}
    assert min(hashed["milliseconds"].values()) > 0
    assert hashed["results"][0]["id"] == exact["results"][0]["id"] == ids["kitchen"]
    there = {row["id"] for row in hashed["results"]}
    assert hashed["missed"] == [row["title"] for row in exact["results"] if row["id"] not in there]


def test_an_excerpt_is_told_where_it_begins(client: Client, tmp_path: Path) -> None:
    film = journey(tmp_path / "film.mp4", "forest", "snow", "kitchen", "city")
    excerpt = journey(tmp_path / "excerpt.mp4", "kitchen", "city")
    (added,) = client.predict([handle_file(str(film))], "excursion", api_name="/video_search_add")["results"]
    assert added["status"] == "added"
    answer = client.predict(handle_file(str(excerpt)), 1, "excursion", api_name="/video_search_find")
    client.predict(added["id"], api_name="/video_search_remove")
    (row,) = answer["results"]
    assert row["id"] == added["id"] and row["offset_s"] == pytest.approx(10, abs=2)


def test_a_mark_hides_a_result_in_both_directions_until_it_is_taken_back(
    client: Client, ids: dict[str, str], clips: dict[str, Path]
) -> None:
    def found(title: str) -> tuple[list[str], list[str]]:
        answer = client.predict(handle_file(str(clips[title])), 20, "", api_name="/video_search_find")
        return [row["id"] for row in answer["results"]], [row["title"] for row in answer["not_similar"]]

    for marked in (True, False):
        told = client.predict(ids["meadow"], ids["forest"], marked, api_name="/video_search_mark")
        assert told["results"] == [{"id": ids["forest"], "marked": marked}]
        for query, other in (("meadow", "forest"), ("forest", "meadow")):
            results, left_out = found(query)
            assert (ids[other] in results, other in left_out) == (not marked, marked)


def test_many_files_are_answered_one_by_one_and_a_bad_one_has_its_error(
    client: Client, ids: dict[str, str], clips: dict[str, Path], not_media: Path
) -> None:
    files = [clips["stage"], not_media, clips["harbour"]]
    answer = client.predict([handle_file(str(f)) for f in files], 3, "", api_name="/video_search_find_many")
    assert [one["file"] for one in answer["results"]] == ["stage.mp4", "letter.mp4", "harbour.mp4"]
    good, bad, also_good = answer["results"]
    assert good["results"][0]["id"] == ids["stage"] and also_good["results"][0]["id"] == ids["harbour"]
    assert bad["results"] == [] and "letter.mp4 is not a film" in bad["error"] and not answer["stopped"]
    alone = client.predict(handle_file(str(clips["stage"])), 3, "", api_name="/video_search_find")
    assert [row["id"] for row in good["results"]] == [row["id"] for row in alone["results"]]


def test_a_library_video_recommends_others_and_never_itself_nor_its_copies(client: Client, ids: dict[str, str]) -> None:
    for title, video_id in ids.items():
        answer = client.predict(video_id, 20, "", api_name="/video_search_recommend")
        assert [answer["query"]["id"], answer["query"]["title"]] == [video_id, title]
        assert answer["results"] and video_id not in {row["id"] for row in answer["results"]}
        assert all(row["why"] and row["relation"] != "copy" for row in answer["results"])
        assert bool(answer["fallback"]) == all(row["relation"] == "" for row in answer["results"])


def test_every_result_can_be_fetched_and_played_from_the_server(
    server: Server, client: Client, ids: dict[str, str]
) -> None:
    answer = client.predict(ids["harbour"], 20, "", api_name="/video_search_recommend")
    for row in answer["results"]:
        fetched = httpx.get(f"{server.url}/gradio_api/file={row['playable']}", headers={"Range": "bytes=0-99"})
        assert fetched.status_code == 206 and fetched.headers["content-type"] in ("video/mp4", "video/webm")


def test_the_same_content_twice_is_one_row(client: Client, ids: dict[str, str], clips: dict[str, Path]) -> None:
    answer = client.predict([handle_file(str(clips["stage"]))], "", api_name="/video_search_add")
    assert [(row["id"], row["status"]) for row in answer["results"]] == [(ids["stage"], "known")]


def test_tags_and_the_filter_narrow_what_is_found(client: Client, ids: dict[str, str], tmp_path: Path) -> None:
    tagged = moving_clip(tmp_path / "lighthouse.mp4", duration_s=2, seed=40)
    (row,) = client.predict([handle_file(str(tagged))], "coast, night", api_name="/video_search_add")["results"]
    found = client.predict(ids["harbour"], 20, "coast", api_name="/video_search_recommend")["results"]
    assert [video["id"] for video in found] == [row["id"]]
    listed = client.predict("NIGHT", 60, api_name="/video_search_list")
    assert [video["title"] for video in listed["results"]] == ["lighthouse"] and listed["total"] == 1


def test_a_bad_file_is_named_and_the_rest_is_added(client: Client, not_media: Path, tmp_path: Path) -> None:
    good = moving_clip(tmp_path / "good.mp4", duration_s=1, seed=41)
    answer = client.predict([handle_file(str(not_media)), handle_file(str(good))], "", api_name="/video_search_add")
    assert [row["file"] for row in answer["errors"]] == ["letter.mp4"]
    assert [row["status"] for row in answer["results"]] == ["added"]


def test_a_removed_video_is_found_no_more_and_its_copy_is_gone(server: Server, client: Client, tmp_path: Path) -> None:
    short_lived = moving_clip(tmp_path / "gone.mp4", duration_s=1, seed=42)
    (row,) = client.predict([handle_file(str(short_lived))], "", api_name="/video_search_add")["results"]
    assert list((server.folder / "files").glob(f"{row['id']}*"))
    client.predict(row["id"], api_name="/video_search_remove")
    assert not list((server.folder / "files").glob(f"{row['id']}*"))
    with pytest.raises(AppError, match=row["id"][:12]):
        client.predict(row["id"], 5, "", api_name="/video_search_recommend")


def test_a_video_whose_file_vanished_is_still_found_only_without_a_player(
    server: Server, client: Client, ids: dict[str, str], tmp_path: Path
) -> None:
    film = scene(tmp_path / "vanishing.mp4", "snow")
    search = VideoSearch(server.folder / "videos")
    (report,) = search.add_each([film])
    copy = film.rename(tmp_path / "copy.mp4")
    answer = client.predict(handle_file(str(copy)), 2, "", api_name="/video_search_find")
    assert [row["id"] for row in answer["results"]][:1] == [report.id]
    assert [bool(row["playable"]) for row in answer["results"]] == [False, True]
    search.remove([report.id])


def test_files_of_the_server_cannot_be_asked_for(server: Server, ids: dict[str, str], clips: dict[str, Path]) -> None:
    """Asked over plain HTTP, since the client would upload the file first."""
    never_uploaded = {"path": str(clips["stage"]), "meta": {"_type": "gradio.FileData"}}
    call = f"{server.url}/gradio_api/call/video_search_find"
    event = httpx.post(call, json={"data": [never_uploaded, 5, "", "cosine"]}).json()["event_id"]
    answer = httpx.get(f"{call}/{event}", timeout=60).text
    assert "event: error" in answer and "similarity" not in answer
    assert httpx.get(f"{server.url}/gradio_api/file={clips['stage']}").status_code in (403, 404)
    assert httpx.get(f"{server.url}/gradio_api/file={server.folder / 'videos'}").status_code in (403, 404)


def test_the_app_goes_on_serving_after_bad_input(
    client: Client, ids: dict[str, str], not_media: Path, clips: dict[str, Path]
) -> None:
    with pytest.raises(AppError, match=r"letter\.mp4"):
        client.predict(handle_file(str(not_media)), 5, "", api_name="/video_search_find")
    answer = client.predict(handle_file(str(clips["forest"])), 1, "", api_name="/video_search_find")
    assert answer["results"][0]["id"] == ids["forest"]


def test_two_users_at_once_get_their_own_answers(server: Server, ids: dict[str, str], clips: dict[str, Path]) -> None:
    def ask(title: str) -> str:
        answer = Client(server.url, verbose=False).predict(
            handle_file(str(clips[title])), 1, "", api_name="/video_search_find"
        )
        return str(answer["results"][0]["id"])

    titles = ["harbour", "meadow"] * 4
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, titles)) == [ids[title] for title in titles]


def test_cancel_stops_an_addition_and_keeps_what_was_finished(server: Server, tmp_path: Path) -> None:
    films = [moving_clip(tmp_path / f"long{n}.mp4", duration_s=20, frame_rate=12, seed=50 + n) for n in range(6)]
    client = Client(server.url, verbose=False)
    job = client.submit([handle_file(str(film)) for film in films], "", api_name="/video_search_add")
    deadline = time.monotonic() + PATIENCE_S
    while not job.outputs() and time.monotonic() < deadline:
        time.sleep(0.02)
    client.predict(api_name="/video_search_cancel")
    answer = job.result(timeout=PATIENCE_S)
    assert answer["stopped"] and 1 <= len(answer["results"]) < len(films)
    listed = client.predict("long", 60, api_name="/video_search_list")["results"]
    assert {row["id"] for row in answer["results"]} == {row["id"] for row in listed}


def test_cancel_stops_a_search_with_many_files_and_keeps_what_was_finished(
    server: Server, ids: dict[str, str], reels: list[Path]
) -> None:
    client = Client(server.url, verbose=False)
    job = client.submit([handle_file(str(film)) for film in reels], 1, "", api_name="/video_search_find_many")
    deadline = time.monotonic() + PATIENCE_S
    while not (job.status().progress_data and "reel1" in str(job.status().progress_data)):
        assert time.monotonic() < deadline and not job.done()
        time.sleep(0.02)
    client.predict(api_name="/video_search_cancel")
    answer = job.result(timeout=PATIENCE_S)
    assert answer["stopped"] and [one["file"] for one in answer["results"]][:1] == ["reel0.mp4"]
    assert len(answer["results"]) < len(reels) and all(one["results"] for one in answer["results"])


def test_a_library_too_small_is_not_fine_tuned_and_one_large_enough_is(
    tuned_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_search_handlers, "FINE_TUNING_DRAWS", 2)
    client = Client(tuned_server.url, verbose=False)
    films = [moving_clip(tmp_path / f"tiny{n:02}.mp4", duration_s=1, frame_rate=8, seed=200 + n) for n in range(12)]
    client.predict([handle_file(str(film)) for film in films[:2]], "", api_name="/video_search_add")
    with pytest.raises(AppError, match=r"The library has 2 videos .*at least 12"):
        client.predict(5, api_name="/video_search_fine_tune")
    client.predict([handle_file(str(film)) for film in films[2:]], "", api_name="/video_search_add")
    tuned = client.predict(5, api_name="/video_search_fine_tune")
    better = tuned["after"]["micro_average_precision"] > tuned["before"]["micro_average_precision"]
    assert tuned["switched"] == better and tuned["lost"] == []
    assert (tuned_server.folder / "models" / f"{tuned['model']}.safetensors").exists() == tuned["switched"]
    assert not list((tuned_server.folder / "models" / "training").glob("*/checkpoint.pt"))
    answer = client.predict(handle_file(str(films[4])), 1, "", api_name="/video_search_find")
    assert answer["results"][0]["title"] == "tiny04"
    assert client.predict("", 60, api_name="/video_search_list")["of_other_encoders"] == (12 if better else 0)


def test_the_server_reached_no_address_outside_this_machine(server: Server, ids: dict[str, str]) -> None:
    assert ids and server.foreign == []
