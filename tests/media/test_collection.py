"""The films of a folder and of a bucket are found, and each is to be had as a local file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from core.errors import MediaError, MediaLimitError, MediaOpenError, PathNotAllowedError
from core.media import MediaLimits, probe
from core.media.collection import local_file, video_files
from tests.factories import moving_clip
from tests.store.conftest import s3_server  # noqa: F401 - a fixture, the same double of Amazon S3

FILMS = ["b.mp4", "a/deep/er/clip one.MKV", "a/x.webm", "ä#1?.mov"]
OTHERS = ["notes.txt", ".hidden.mp4", ".trash/old.mp4", "a/still.jpg", "mp4"]
Place = Callable[[dict[str, bytes]], str]
pytestmark = pytest.mark.usefixtures("s3_server")


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Puts files into a new folder or bucket, and tells its address."""

    def folder(files: dict[str, bytes]) -> str:
        for name, content in files.items():
            (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "films" / name).write_bytes(content)
        return str(tmp_path / "films")

    def bucket(files: dict[str, bytes]) -> str:
        client, name = boto3.client("s3"), f"films-{uuid4()}"
        client.create_bucket(Bucket=name)
        for key, content in files.items():
            client.put_object(Bucket=name, Key=f"films/{key}", Body=content)
        client.put_object(Bucket=name, Key="films-of-others/c.mp4", Body=b"film")
        return f"s3://{name}/films"

    return folder if request.param == "folder" else bucket


def test_films_are_found_at_any_depth_sorted_and_everything_else_is_left_out(place: Place) -> None:
    address = place(dict.fromkeys([*FILMS, *OTHERS], b"film"))
    assert video_files(address) == video_files(f"{address}/") == sorted(f"{address}/{name}" for name in FILMS)


def test_every_film_is_to_be_had_whole_and_under_its_own_name(place: Place) -> None:
    address = place({name: name.encode() * 1000 for name in FILMS})
    for film in video_files(address):
        with local_file(film) as path:
            assert path.name == film.rpartition("/")[2]
            assert path.read_bytes() == film.removeprefix(f"{address}/").encode() * 1000


def test_a_download_is_deleted_and_an_original_is_not(place: Place) -> None:
    address = place({"a.mp4": b"film"})
    with pytest.raises(MediaError, match="halfway"), local_file(f"{address}/a.mp4") as path:
        raise MediaError("halfway")
    assert path.exists() == (not address.startswith("s3://"))
    assert video_files(address) == [f"{address}/a.mp4"]


def test_a_real_film_is_the_same_from_either_place(place: Place, tmp_path: Path) -> None:
    film = moving_clip(tmp_path / "film.mp4", duration_s=1)
    (address,) = video_files(place({"film.mp4": film.read_bytes()}))
    with local_file(address) as path:
        assert replace(probe(path), path=film) == probe(film)


def test_a_single_film_is_its_own_collection(place: Place) -> None:
    address = place({"a.mp4": b"film", "b.mp4": b"film"})
    assert video_files(f"{address}/b.mp4") == [f"{address}/b.mp4"]


def test_what_is_missing_or_holds_no_film_is_named(place: Place) -> None:
    address = place({"texts/notes.txt": b"words", "empty.mp4": b""})
    with pytest.raises(MediaOpenError, match="nowhere does not exist"):
        video_files(f"{address}/nowhere")
    with pytest.raises(MediaOpenError, match="texts holds no film"):
        video_files(f"{address}/texts")
    for name, reason in (("nowhere.mp4", "does not exist"), ("empty.mp4", "is empty")):
        with pytest.raises(MediaOpenError, match=f"{name} {reason}"), local_file(f"{address}/{name}"):
            pass


def test_a_film_over_the_limit_is_not_fetched(place: Place) -> None:
    address = place({"a.mp4": b"film" * 100})
    with (
        pytest.raises(MediaLimitError, match="400 bytes, more than the 399"),
        local_file(f"{address}/a.mp4", MediaLimits(max_bytes=399)),
    ):
        pass


def test_only_allowed_folders_are_read(tmp_path: Path) -> None:
    for folder in ("open", "shut"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").write_bytes(b"film")
    (tmp_path / "open" / "b.mp4").symlink_to(tmp_path / "shut" / "a.mp4")
    limits = MediaLimits(allowed_roots=(tmp_path / "open",))
    inside, out_of_it = video_files(str(tmp_path / "open"), limits)
    with local_file(inside, limits) as path:
        assert path.read_bytes() == b"film"
    for refused in (out_of_it, str(tmp_path / "shut" / "a.mp4")):
        with pytest.raises(PathNotAllowedError), local_file(refused, limits):
            pass
    for refused in (str(tmp_path / "shut"), str(tmp_path / "nowhere")):
        with pytest.raises(PathNotAllowedError, match="outside the allowed folders"):
            video_files(refused, limits)


def test_a_missing_bucket_and_an_unknown_kind_of_address_are_named() -> None:
    with pytest.raises(MediaOpenError, match=r"no-such-bucket-of-films/films .* bucket does not exist\); check it"):
        video_files("s3://no-such-bucket-of-films/films")
    with pytest.raises(MediaOpenError, match=r"s3://bucket/prefix"):
        video_files("ftp://films/")
