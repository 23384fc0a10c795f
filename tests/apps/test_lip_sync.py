"""The lip-sync tab: its endpoints as programs call them, with the Gradio Python client, on real files.

The network is the shipped one; how good its mouths are is measured elsewhere (`tests/lip_sync/test_shipped.py`).
"""

import os
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from numpy.typing import NDArray
from PIL import Image

from apps import lip_sync_handlers
from apps.runtime import OUTPUT_AGE_S, AppSettings
from core.lip_sync import LipSyncResult
from core.lip_sync.faces import FaceFinder
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.network import load_network
from core.lip_sync.pace import Pace
from core.media import VideoReader, probe, read_audio, write_video
from tests.apps.conftest import Server
from tests.factories import moving_clip, number_of, sound_file

ASSETS = Path(__file__).resolve().parents[1] / "assets"
PATIENCE_S = 120
RATE = 10
MOUTH = [0, 150, 90, 230, 130]


@cache
def shipped() -> MouthNetwork:
    """The shipped network: one for all tests, since the app loads its own once."""
    return load_network()


@pytest.fixture(scope="module", autouse=True)
def networks() -> Iterator[MouthNetwork]:
    """The app's network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lip_sync_handlers, "load_network", shipped)
        yield shipped()


def pictures(heads: int, shown: int, coffee: int) -> Iterator[NDArray[np.uint8]]:
    """Heads beside one another that drift to the right, and after a cut a cup of coffee."""
    portrait = np.asarray(Image.open(ASSETS / "astronaut.jpg").convert("RGB"))
    head = np.concatenate([portrait[:240, 104:344]] * heads, axis=1)
    for frame in range(shown):
        yield np.roll(head, 2 * frame, axis=1)
    cup = np.asarray(Image.open(ASSETS / "coffee.jpg").convert("RGB").resize((240 * heads, 240)))
    for _ in range(coffee):
        yield cup


def film(path: Path, heads: int = 1, shown: int = 20, coffee: int = 10) -> Path:
    write_video(path, pictures(heads, shown, coffee), Fraction(RATE))
    return path


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a face, and one of a cup of coffee."""
    return film(tmp_path_factory.mktemp("talk") / "talk.mp4")


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


def inspect(client: Client, path: Path) -> Any:
    return client.predict(handle_file(str(path)), api_name="/lip_sync_inspect")


def sync(client: Client, face: Path, speech: Path = ASSETS / "sample_en.wav", **how: Any) -> Any:
    given = {"consent": True, **how}
    return client.predict(
        face=handle_file(str(face)), speech=handle_file(str(speech)), api_name="/lip_sync_sync", **given
    )


def say(client: Client, face: Path, text: str, **how: Any) -> Any:
    given = {"consent": True, **how}
    return client.predict(face=handle_file(str(face)), text=text, api_name="/lip_sync_say", **given)


def frames(path: str | Path) -> list[NDArray[np.uint8]]:
    with VideoReader(path) as reader:
        return [frame.pixels for frame in reader.frames()]


def differing(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    return float(np.abs(first.astype(int) - second).mean())


def test_inspecting_tells_faces_times_and_pictures_without_a_face(server: Server, client: Client, talk: Path) -> None:
    told = inspect(client, talk)
    (face,) = told["results"]
    assert (face["id"], face["start_s"], face["end_s"]) == (0, 0, pytest.approx(1.9))
    assert 60 < face["width_px"] < 160
    assert told["frames_without_face"] == list(range(20, 30)) and told["without_face_s"] == [[2, 3]]
    assert (told["frame_count"], told["frame_rate"], told["duration_s"]) == (30, RATE, 3) and told["cuts_s"] == [2]
    assert told["size_px"] == [240, 240] and told["estimate_s"] == pytest.approx(3 * told["seconds_a_second"], abs=0.1)
    fetched = httpx.get(f"{server.url}/gradio_api/file={face['picture']}")
    assert fetched.status_code == 200 and fetched.headers["content-type"] == "image/jpeg"


def test_faces_are_followed_once_for_inspecting_again_and_for_rendering(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = film(tmp_path / "once.mp4", shown=6, coffee=0)
    first = inspect(client, face)

    def looked_again(*_: object) -> None:
        raise AssertionError("the faces were looked for a second time")

    monkeypatch.setattr(FaceFinder, "faces", looked_again)
    assert inspect(client, face)["results"][0]["width_px"] == first["results"][0]["width_px"]
    assert sync(client, face, seconds=0.5)["frames_changed"] == 5


def test_a_render_changes_the_mouth_only_and_passes_through_what_has_no_face(
    server: Server, client: Client, talk: Path
) -> None:
    made = sync(client, talk)
    count = len(frames(made["file"]))
    assert (made["frame_count"], made["frames_changed"]) == (count, sum(n % 30 < 20 for n in range(count)))
    lost = made["passed_through_s"][0]
    assert lost == [2, 3] and made["frames_without_face"][:10] == list(range(20, 30))
    before, after = frames(talk), frames(made["file"])
    assert differing(before[25], after[25]) < 2
    assert differing(before[5][:60], after[5][:60]) < 3 < 3 * differing(before[5][120:200], after[5][120:200])
    info = probe(made["file"])
    assert (info.width, info.height, info.frame_rate) == (240, 240, RATE) and info.audio is not None
    assert abs(info.duration_s - probe_speech_s()) < 1
    with av.open(made["file"]) as container:
        assert "the mouth was changed" in container.metadata["comment"]
    assert set(made["stages_s"]) >= {"faces", "mouths", "film"} and made["seconds_taken"] > 0
    for side in ("before", "after"):
        fetched = httpx.get(f"{server.url}/gradio_api/file={made[side]['playable']}", headers={"Range": "bytes=0-99"})
        assert fetched.status_code == 206 and fetched.headers["content-type"] == "video/mp4"


def probe_speech_s() -> Fraction:
    clip = read_audio(ASSETS / "sample_en.wav")
    return Fraction(len(clip.samples), clip.sample_rate)


def test_a_test_is_as_long_as_asked_and_a_still_picture_becomes_a_film(client: Client, tmp_path: Path) -> None:
    picture = tmp_path / "head.jpg"
    Image.open(ASSETS / "astronaut.jpg").crop((104, 0, 344, 240)).save(picture)
    told = inspect(client, picture)
    assert told["still"] and len(told["results"]) == 1 and told["duration_s"] == 0
    made = sync(client, picture, seconds=1)
    assert (made["duration_s"], made["frame_count"], made["still"]) == (1, 25, True)
    assert Path(made["file"]).suffix == ".mp4"


def test_without_consent_nothing_is_made(client: Client, server: Server, talk: Path) -> None:
    def films() -> set[Path]:
        made = (server.folder / "output").rglob("*.mp4")
        return {film for film in made if "inputs" not in film.parts}  # what was uploaded is kept with the job

    before = films()
    for refused in (False, None):
        with pytest.raises(AppError, match="Nothing is made without consent"):
            sync(client, talk, consent=refused)
        with pytest.raises(AppError, match="Nothing is made without consent"):
            say(client, talk, "Hello", consent=refused)
    with pytest.raises(AppError, match="Nothing is made without consent"):
        client.predict(
            face=handle_file(str(talk)),
            speech=handle_file(str(ASSETS / "sample_en.wav")),
            api_name="/lip_sync_sync",
        )
    assert films() == before


def test_only_the_chosen_face_of_two_speaks(client: Client, tmp_path: Path) -> None:
    pair = film(tmp_path / "pair.mp4", heads=2, shown=5, coffee=0)
    assert [face["id"] for face in inspect(client, pair)["results"]] == [0, 1]
    before = frames(pair)[2]
    for chosen, other in ((0, 1), (1, 0)):
        after = frames(sync(client, pair, faces=[chosen], seconds=0.5)["file"])[2]
        below = np.s_[120:200]
        sides = [differing(before[below, side], after[below, side]) for side in (slice(0, 240), slice(240, 480))]
        assert sides[chosen] > 1.5 * sides[other]
    with pytest.raises(AppError, match=r"There is no face 7 in pair\.mp4"):
        sync(client, pair, faces=[7])


def test_two_faces_say_a_recording_each_and_both_are_heard(client: Client, tmp_path: Path) -> None:
    pair = film(tmp_path / "both.mp4", heads=2, shown=5, coffee=0)
    hum = sound_file(tmp_path / "hum.wav", 1)
    made = sync(client, pair, faces=[0], others=[handle_file(str(hum))], speakers={"1": 0}, seconds=0.5)
    assert made["faces"] == [0, 1] and made["frames_changed"] == 5
    with pytest.raises(AppError, match="Face 1 is to say recording 3 of the others, of which there are 1"):
        sync(client, pair, others=[handle_file(str(hum))], speakers={"1": 3})


def test_a_film_without_a_face_needs_a_drawn_mouth(client: Client, tmp_path: Path) -> None:
    cup = film(tmp_path / "cup.mp4", shown=0, coffee=8)
    told = inspect(client, cup)
    assert told["results"] == [] and len(told["frames_without_face"]) == 8
    with pytest.raises(AppError, match=r"No face was found in cup\.mp4"):
        sync(client, cup)
    made = sync(client, cup, mouths=[MOUTH], seconds=0.5)
    assert made["frames_changed"] == 5
    for wrong in ([1, 2, 3], ["a", 1, 2, 3, 4]):
        with pytest.raises(AppError, match="is not understood"):
            sync(client, cup, mouths=[wrong])


def test_a_text_is_spoken_and_said(client: Client, talk: Path) -> None:
    made = say(client, talk, "Good morning to you.", seconds=1, language="en-us")
    assert made["duration_s"] == 1 and made["frames_changed"] == 10
    assert np.abs(read_audio(made["file"]).samples).max() > 0.05


def test_the_preview_is_faster_where_that_is_asked_and_a_wrong_voice_has_its_sentence(client: Client) -> None:
    def spoken(rate: int, language: str = "de", text: str = "Guten Morgen") -> Any:
        return client.predict(text, language, "", rate, 50, api_name="/lip_sync_speak")

    slow, fast = spoken(90), spoken(300)
    assert slow["duration_s"] > 1.5 * fast["duration_s"]
    clip = read_audio(slow["file"])
    assert len(clip.samples) / clip.sample_rate == pytest.approx(slow["duration_s"], abs=0.01)
    with pytest.raises(AppError, match="No language is called 'klingonese'"):
        spoken(160, "klingonese")
    with pytest.raises(AppError, match="write a text first"):
        spoken(160, text=" ")
    with pytest.raises(AppError, match="20 is less than"):
        spoken(20)


def test_every_voice_that_is_listed_can_be_asked_for(client: Client) -> None:
    told = client.predict(api_name="/lip_sync_voices")
    named = {row["id"]: row["name"] for row in told["results"]}
    assert len(named) > 50 and named["de"] == "German" and {"f2", "m3"} <= set(told["variants"])
    spoken = client.predict("One", sorted(named)[-1], told["variants"][-1], 160, 50, api_name="/lip_sync_speak")
    assert spoken["duration_s"] > 0.1
    described: Any = client.view_api(return_format="dict", print_info=False)
    parameters = described["named_endpoints"]["/lip_sync_say"]["parameters"]
    (language,) = (one for one in parameters if one["parameter_name"] == "language")
    assert set(language["type"]["enum"]) == set(named)


def test_bad_requests_get_their_sentence(client: Client, talk: Path, not_media: Path) -> None:
    with pytest.raises(AppError, match=r"letter\.mp4 is not a film"):
        inspect(client, not_media)
    with pytest.raises(AppError, match=r"letter\.mp4"):
        sync(client, talk, not_media)
    with pytest.raises(AppError, match="choose a film or a picture first"):
        client.predict(None, api_name="/lip_sync_inspect")
    with pytest.raises(AppError, match="record or upload speech"):
        client.predict(face=handle_file(str(talk)), speech=None, consent=True, api_name="/lip_sync_sync")
    with pytest.raises(AppError, match="The test lasts -1"):
        sync(client, talk, seconds=-1)
    with pytest.raises(AppError, match=r"The faces .* are not understood"):
        sync(client, talk, faces=["left"])


def test_cancel_stops_a_render_and_the_next_one_goes_on(client: Client, tmp_path: Path, networks: MouthNetwork) -> None:
    face, begun, released = film(tmp_path / "long.mp4", shown=40, coffee=0), threading.Event(), threading.Event()

    def held(*_: object) -> None:
        begun.set()
        assert released.wait(PATIENCE_S)

    hooks = [part.register_forward_pre_hook(held) for part in networks.modules()]
    mine = Client(client.src, verbose=False)
    job = mine.submit(
        face=handle_file(str(face)),
        speech=handle_file(str(ASSETS / "sample_en.wav")),
        consent=True,
        api_name="/lip_sync_sync",
    )
    assert begun.wait(PATIENCE_S)
    assert mine.predict(api_name="/lip_sync_cancel")["stopped"] == 1
    released.set()
    with pytest.raises(AppError, match="Stopped at your request"):
        job.result(timeout=PATIENCE_S)
    for hook in hooks:
        hook.remove()
    assert sync(client, face, seconds=0.5)["frames_changed"] == 5


def test_old_faces_and_mouths_are_deleted_and_new_ones_stay(server: Server, client: Client, talk: Path) -> None:
    cache = server.folder / "output" / "lip-sync"
    inspect(client, talk)
    kept = set(cache.iterdir())
    old, job = cache / "faces-old.npz", cache / "job-old"
    old.write_bytes(b"")
    job.mkdir()
    (job / "mouths-0-000000.npz").write_bytes(b"")
    long_ago = time.time() - OUTPUT_AGE_S - 60
    for entry in (old, job):
        os.utime(entry, (long_ago, long_ago))
    inspect(client, talk)
    assert set(cache.iterdir()) == kept


def test_the_pace_is_that_of_the_last_job(talk: Path) -> None:
    pace, info = Pace(), probe(talk)
    stages = {"faces": 9.0, "mouths": 4.0, "film": 3.0}
    pace.learn(LipSyncResult("out.mp4", 3.0, 30, 20, (), 0, 0.5, 16.0, stages), info)
    assert pace.picture_s(info) == pytest.approx(4 / 20 + 3 / 30)
    pace.learn(LipSyncResult("out.mp4", 3.0, 30, 0, (), 0, 0.5, 16.0, stages), info)
    assert pace.picture_s(info) == pytest.approx(4 / 20 + 3 / 30)


def test_a_drawn_mouth_is_looked_at_in_the_picture_of_its_frame(tmp_path: Path) -> None:
    clip = moving_clip(tmp_path / "numbers.mp4", duration_s=2)
    handlers = lip_sync_handlers.Handlers(AppSettings(output=str(tmp_path / "output")))
    for at_s, frame in ((0, 0), (1.0, 25), (1.05, 26), (99, 49)):
        looked = handlers.picture(str(clip), at_s)
        assert looked["frame"] == frame
        assert number_of(np.asarray(Image.open(looked["picture"]))) == frame
