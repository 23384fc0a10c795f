"""The personal video tab: its endpoints as programs call them, with the Gradio Python client, on real files.

The networks are the shipped ones; most videos are made in fewer steps than look well.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from core.media import probe
from core.personal_video import engine
from core.personal_video.film import read_frames, read_settings
from core.personal_video.measuring import background_colour, measured_path
from core.personal_video.network import PersonalVideoNetwork
from core.personal_video.trained import load_network
from tests.apps.conftest import Server
from tests.factories import moving_clip
from tests.personal_video.conftest import disc, saved

PATIENCE_S = 120
READ = "/personal_video_settings"
RED, BLUE, GREEN = (200, 30, 30), (20, 40, 220), (30, 180, 40)


@cache
def shipped() -> PersonalVideoNetwork:
    """The shipped networks: the same for all tests, since the app loads its own once."""
    return load_network()


@pytest.fixture(scope="module", autouse=True)
def networks() -> Iterator[PersonalVideoNetwork]:
    """The app's networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "load_network", shipped)
        yield shipped()


@contextmanager
def held(steps: int = 0) -> Iterator[tuple[threading.Event, threading.Event]]:
    """While it lasts, the network waits after so many steps: it has begun to wait, and it may go on."""
    begun, released, done = threading.Event(), threading.Event(), list[int]()

    def wait(*_: object) -> None:
        done.append(1)
        if len(done) > steps:
            begun.set()
            assert released.wait(PATIENCE_S)

    hook = shipped().generation.register_forward_pre_hook(wait)
    try:
        yield begun, released
    finally:
        released.set()
        hook.remove()


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


def listed(client: Client) -> dict[str, Any]:
    return {row["word"]: row for row in client.predict(api_name="/personal_video_concepts")["results"]}


def add(client: Client, word: str, *pictures: Path, more: bool = False) -> Any:
    files = [handle_file(str(picture)) for picture in pictures]
    return client.predict(word, files, more, api_name="/personal_video_add")


@pytest.fixture(scope="module")
def biscuit(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A concept of the app's."""
    picture = saved(tmp_path_factory.mktemp("biscuit"), "biscuit.png", disc(RED))
    if "biscuit" not in listed(client):
        add(client, "biscuit", picture)
    return "biscuit"


def given(**asked: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"prompt": "", "image": None, "shows": "", "seed": 1, "steps": 3}
    told = usual | asked
    return told | {"image": handle_file(str(told["image"])) if told["image"] else None}


def generate(client: Client, **asked: Any) -> Any:
    return client.predict(**given(**asked), api_name="/personal_video_generate")


def enlarge(client: Client, video: str, image: Path | None = None, steps: int = 2) -> Any:
    shown = handle_file(str(image)) if image else None
    return client.predict(handle_file(video), shown, steps, api_name="/personal_video_enlarge")


@pytest.mark.parametrize(
    ("prompt", "image", "shows", "mode"),
    [("<biscuit> hops", False, "", "a"), ("biscuit hops", True, "biscuit", "b"), ("biscuit hops", True, "-", "c"),
     ("it hops", False, "", "d"), ("", True, "", "e")],
)  # fmt: skip
def test_all_five_modes_are_said_and_make_both_videos(
    server: Server, client: Client, biscuit: str, tmp_path: Path, prompt: str, image: bool, shows: str, mode: str
) -> None:
    file = saved(tmp_path, "green.png", disc(GREEN)) if image else None
    picture = handle_file(str(file)) if file else None
    said = client.predict(prompt, picture, shows, api_name="/personal_video_mode")
    assert (said["mode"], len(said["subject"])) == (mode, int(image))
    first = generate(client, prompt=prompt, image=file, shows=shows)
    assert (first["mode"], first["seed"], first["size_px"], first["duration_s"]) == (mode, 1, [64, 64], 2)
    larger = enlarge(client, first["file"], file)
    assert (larger["mode"], larger["size_px"], larger["enlarged"]) == (mode, [128, 128], True)
    for made in (first, larger):
        assert probe(made["file"]).codec == "h264" and made["seconds_taken"] > 0
        fetched = httpx.get(f"{server.url}/gradio_api/file={made['file']}", headers={"Range": "bytes=0-99"})
        assert fetched.status_code == 206 and fetched.headers["content-type"] == "video/mp4"


def test_the_subject_moves_as_asked_over_the_asked_colour(client: Client, biscuit: str) -> None:
    made = generate(client, prompt="<biscuit> slides to the right on a light green background", steps=16)["file"]
    frames = read_frames(made, read_settings(made))
    assert background_colour(frames, "light green").nearest == "light green"
    path = measured_path(frames)
    assert path[-1, 0] - path[0, 0] > 0.2
    x, y = (path[8, :2] * 64).round().astype(int)
    assert np.abs(frames[8, y, x].astype(int) - RED).max() < 60


def test_what_it_looks_like_grows_and_the_last_answer_is_the_video(client: Client, biscuit: str) -> None:
    job = client.submit(**given(prompt="biscuit hops", steps=4), api_name="/personal_video_generate")
    last = job.result(timeout=PATIENCE_S)
    steps: Any = [answer for answer in job.outputs() if not answer["finished"]]
    assert [one["step"] for one in steps] == sorted({one["step"] for one in steps}) and last["finished"]
    assert 1 <= len(steps) <= 3 and all(one["steps"] == 4 for one in steps)
    with Image.open(steps[0]["preview"]) as picture:
        assert picture.n_frames == 16 and picture.size == (64, 64)  # type: ignore[attr-defined]
    assert steps[-1]["seconds_left"] is None or steps[-1]["seconds_left"] >= 0


def test_the_same_seed_makes_the_same_bytes_and_a_seed_by_lot_is_told(client: Client, biscuit: str) -> None:
    lot = generate(client, prompt="biscuit spins", seed=-1)
    again = [generate(client, prompt="biscuit spins", seed=seed) for seed in (lot["seed"], lot["seed"], 7)]
    content = [Path(made["file"]).read_bytes() for made in (lot, *again)]
    assert content[0] == content[1] == content[2] != content[3]


def test_settings_come_back_from_a_file(client: Client, biscuit: str, tmp_path: Path) -> None:
    image = saved(tmp_path, "green.png", disc(GREEN))
    asked = {"prompt": "biscuit hops, 跳 🐕", "image": image, "shows": "-", "seed": 9, "text_guidance": 3.5}
    made = generate(client, **asked)
    told = client.predict(handle_file(made["file"]), api_name=READ)
    for name in ("prompt", "shows", "seed", "text_guidance"):
        assert told[name] == asked[name]
    assert (told["image"], told["steps"], told["mode"], told["enlarged"]) == ("green.png", 3, "c", False)
    film = moving_clip(tmp_path / "film.mp4", duration_s=1)
    for ask in (lambda: enlarge(client, str(film)), lambda: client.predict(handle_file(str(film)), api_name=READ)):
        with pytest.raises(AppError, match=r"film\.mp4 holds no settings of personal video"):
            ask()


def test_bad_requests_get_their_sentence(client: Client, biscuit: str, tmp_path: Path) -> None:
    plain = saved(tmp_path, "plain.png", np.full((64, 64, 3), 90, np.uint8))
    letter = tmp_path / "letter.png"
    letter.write_text("Dear all, this is not a picture.")
    dot = saved(tmp_path, "dot.png", np.full((1, 1, 3), 90, np.uint8))
    for asked, sentence in (
        ({"prompt": " "}, "The prompt is empty"),
        ({"prompt": "word " * 2001}, "has 2,001 words, more than 2,000"),
        ({"prompt": "<biskit> hops"}, "No concept is called <.biskit>; there is <.biscuit>"),
        ({"prompt": "it hops", "image": plain}, "No subject was found in plain.png"),
        ({"prompt": "it hops", "image": dot}, "1 × 1 pixels, too few"),
        ({"prompt": "it hops", "image": letter}, r"letter\.png is not a film, picture"),
        ({"prompt": "it hops", "image": plain, "shows": "biscuit"}, "No subject was found"),
        ({"prompt": "it hops", "seed": 2**32}, "4294967296 is greater than"),
        ({"prompt": "it hops", "steps": 1}, "steps is 1"),
    ):
        with pytest.raises(AppError, match=sentence):
            generate(client, **asked)
    with pytest.raises(AppError, match="There is no video to enlarge yet"):
        client.predict(None, None, 0, api_name="/personal_video_enlarge")
    with pytest.raises(AppError, match="describe the video, or choose an image"):
        client.predict("", None, "", api_name="/personal_video_mode")


def test_concepts_are_previewed_added_renamed_given_away_brought_back_and_removed(
    server: Server, client: Client, tmp_path: Path
) -> None:
    red, blue = (saved(tmp_path, f"{name}.png", disc(colour)) for name, colour in (("red", RED), ("blue", BLUE)))
    plain = saved(tmp_path, "plain.png", np.full((64, 64, 3), 90, np.uint8))
    files = [handle_file(str(file)) for file in (red, plain)]
    seen = client.predict(files, api_name="/personal_video_preview")
    assert [row["source"] for row in seen["results"]] == ["red.png"] and len(seen["errors"]) == 1
    assert "waffle" not in listed(client)
    add(client, "waffle", red)
    assert add(client, "waffle", blue, more=True)["pictures"] == 2
    thumbnail = listed(client)["waffle"]["thumbnail"]
    assert httpx.get(f"{server.url}/gradio_api/file={thumbnail}").headers["content-type"] == "image/png"
    client.predict("waffle", "pudding", api_name="/personal_video_rename")
    exported = client.predict(["pudding"], api_name="/personal_video_export")["file"]
    client.predict("pudding", api_name="/personal_video_remove")
    assert not {"waffle", "pudding"} & set(listed(client)) and not Path(thumbnail).exists()
    client.predict(handle_file(exported), False, api_name="/personal_video_import")
    assert listed(client)["pudding"]["pictures"] == 2
    with pytest.raises(AppError, match="There is a concept pudding already"):
        client.predict(handle_file(exported), False, api_name="/personal_video_import")
    client.predict(handle_file(exported), True, api_name="/personal_video_import")
    client.predict("pudding", api_name="/personal_video_remove")
    for call, sentence in (
        (lambda: add(client, "waffle"), "choose one or more that show the subject first"),
        (lambda: add(client, "a/b", red), "The concept's word holds"),
        (lambda: client.predict("nobody", api_name="/personal_video_remove"), "There is no concept nobody"),
        (lambda: client.predict(None, False, api_name="/personal_video_import"), "Choose an exported file"),
    ):
        with pytest.raises(AppError, match=sentence):
            call()


def test_cancel_ends_a_video_within_a_step_and_the_next_one_is_made(client: Client, biscuit: str) -> None:
    mine, calls = Client(client.src, verbose=False), list[int]()
    counting = shipped().generation.register_forward_hook(lambda *_: calls.append(1))
    with held() as (begun, released):
        job = mine.submit(**given(prompt="biscuit hops", steps=50), api_name="/personal_video_generate")
        assert begun.wait(PATIENCE_S)
        assert mine.predict(api_name="/personal_video_cancel")["stopped"] == 1
        released.set()
        with pytest.raises(AppError, match="Stopped at your request"):
            job.result(timeout=PATIENCE_S)
    counting.remove()
    assert len(calls) == 1
    assert generate(client, prompt="biscuit hops")["finished"]


def test_two_users_at_once_do_not_mix_and_one_does_not_stop_the_other(client: Client, biscuit: str) -> None:
    asked = [given(prompt="biscuit hops", seed=1), given(prompt="it spins", seed=2)]
    alone = [client.predict(**one, api_name="/personal_video_generate") for one in asked]
    users = [Client(client.src, verbose=False) for _ in asked]
    with held() as (begun, released):
        jobs = [user.submit(**one, api_name="/personal_video_generate") for user, one in zip(users, asked, strict=True)]
        assert begun.wait(PATIENCE_S)
        assert Client(client.src, verbose=False).predict(api_name="/personal_video_cancel")["stopped"] == 0
        released.set()
        together = [job.result(timeout=PATIENCE_S) for job in jobs]
    for one, other in zip(alone, together, strict=True):
        assert read_settings(other["file"]) == read_settings(one["file"])
        assert Path(other["file"]).read_bytes() == Path(one["file"]).read_bytes() and one["file"] != other["file"]
