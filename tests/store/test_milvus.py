"""What only the Milvus engine has to answer for: its address, its absence, its limits, and codes that do not count."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ParameterError, StoreError
from core.store import EncoderVersion, Record, milvus_codes, open_library, read_setting
from core.store import milvus_rows as rows
from core.store.address import resolve
from core.store.milvus import MilvusLibrary
from core.store.milvus_collection import MOST_HITS
from core.store.milvus_tables import collection_name, connect
from tests.store.makers import ENCODER, HASHING, code, direction, hashed, record, record_id
from tests.store.oracle import nearest, told

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def library(milvus_address: str) -> MilvusLibrary:
    opened = open_library(milvus_address, "videos", HASHING)
    assert isinstance(opened, MilvusLibrary)
    return opened


@pytest.mark.parametrize(
    "wrong",
    [
        "milvus://",
        "milvus://host",
        "milvus://host/",
        "milvus://host/a/b",
        "milvus://host/a__b",
        "milvus://host/1a",
        "milvus://host/a-b",
        "milvus://host:99999/films",
        "milvus://user:secret@host/films",
        "milvus://host/films?token=secret",
        f"milvus://host/{'a' * 64}",
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(wrong: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        resolve(wrong)
    assert "secret" not in str(refusal.value)


def test_an_address_is_spelt_in_one_way() -> None:
    assert resolve("milvus://Host/films_2/") == resolve("milvus://host:19530/films_2") == "milvus://host:19530/films_2"
    assert resolve("milvus://[::1]:19/films") == "milvus://[::1]:19/films"


def test_without_pymilvus_folders_work_and_an_address_on_milvus_says_what_to_install(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["pymilvus"] = None
from core.store import EncoderVersion, open_library, read_setting
open_library({str(tmp_path)!r}, "videos", EncoderVersion("colours", "1", 16))
for call in (lambda: read_setting("milvus://localhost/films", "model"),
             lambda: open_library("milvus://localhost/films", "videos", EncoderVersion("colours", "1", 16))):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ParameterError") == done.stdout.count("pip install pymilvus") == 2


def test_a_server_that_does_not_answer_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.store.milvus_tables.CONNECT_S", 0.5)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/films cannot be read .*check that the Milvus server"):
        read_setting("milvus://127.0.0.1:1/films", "model")


def test_who_asks_is_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymilvus.MilvusClient", lambda **access: access)
    for name in ("USER", "PASSWORD", "TOKEN", "DATABASE", "SECURE"):
        monkeypatch.delenv(f"MILVUS_{name}", raising=False)
    plain: Any = connect("milvus://films.example:19530/films")
    assert (plain["uri"], plain["token"], plain["user"]) == ("http://films.example:19530", "", "")
    for name, value in {"USER": "ada", "PASSWORD": "secret", "DATABASE": "archive", "SECURE": "1"}.items():
        monkeypatch.setenv(f"MILVUS_{name}", value)
    known: Any = connect("milvus://films.example:19530/films")
    assert known["uri"] == "https://films.example:19530"
    assert (known["user"], known["password"], known["db_name"]) == ("ada", "secret", "archive")


def test_two_prefixes_and_two_spellings_never_share_a_collection(milvus_address: str) -> None:
    alike = [EncoderVersion("a.b", "c", 4), EncoderVersion("a", "b.c", 4), EncoderVersion("a-b", "c", 4)]
    assert len({collection_name(milvus_address, "videos", encoder) for encoder in alike}) == 3
    longer = open_library(f"{milvus_address}_2", "videos", ENCODER)
    longer.add([record(1)])
    assert len(open_library(milvus_address, "videos", ENCODER)) == 0
    assert len(longer) == 1


def test_a_record_as_large_as_a_row_comes_back_and_a_larger_one_is_refused(
    library: MilvusLibrary,
) -> None:
    noise = np.random.default_rng(0).bytes(3_000_000)
    large = replace(hashed(1), thumbnail=noise[:2_800_000])
    assert library.add([large]) == 1
    assert library.fetch([large.id]) == library.records() == [large]
    with pytest.raises(ParameterError, match=r"/films/2\.mp4.*too large"):
        library.add([hashed(3), replace(hashed(2), thumbnail=noise)])
    assert library.ids() == {large.id}


def test_more_than_one_request_and_one_answer_may_hold(library: MilvusLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LARGEST_REQUEST", 50_000)
    monkeypatch.setattr("core.store.milvus_collection._ANSWER_BYTES", 20_000)
    monkeypatch.setattr("core.store.milvus_collection._KEYS_AT_ONCE", 30)
    monkeypatch.setattr("core.store.milvus_collection._SCANNED_AT_ONCE", 40)
    films = [hashed(number) for number in range(150)]
    assert library.add(films) == 150
    assert library.add([*films[100:], hashed(200)]) == 1
    assert len(library.ids()) == len(library.records()) == len(library) == 151
    assert library.fetch([film.id for film in films]) == films
    assert library.remove([film.id for film in films[:70]]) == 70
    assert told(library.find(direction(5), 100)) == nearest([*films[70:], hashed(200)], direction(5), 100)


def test_more_hits_than_a_search_gives_are_refused(library: MilvusLibrary) -> None:
    with pytest.raises(ParameterError, match="at most 16383"):
        library.find(direction(1), MOST_HITS)


def test_a_search_is_exact_while_rows_lie_in_memory_and_after_they_were_written_out(milvus_address: str) -> None:
    library = open_library(milvus_address, "videos", ENCODER)
    films = [record(number, tags=("third",) * (number % 3 == 0)) for number in range(1500)]
    library.add(films)

    def agrees() -> bool:
        """With tags and without."""
        thirds = [film for film in films if film.tags]
        return all(
            told(library.find(direction(seed), 9)) == nearest(films, direction(seed), 9)
            and told(library.find(direction(seed), 9, ["third"])) == nearest(thirds, direction(seed), 9)
            for seed in (7, 9000)
        )

    assert agrees()
    library.optimise()
    assert agrees()
    assert len(library) == 1500


def orphan(library: MilvusLibrary, film: Record, token: str) -> None:
    """Write a code as a writer does that is killed before it writes the row."""
    row = rows.to_row(film, HASHING, token)
    library._codes.write([row], {row[rows.KEY]: film.code})


def test_a_code_whose_writer_was_killed_does_not_count_and_is_swept_up(
    library: MilvusLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [hashed(number) for number in range(20)]
    library.add(films)
    before = [library.find_codes(code(seed), 5) for seed in (3, 50)]
    for film in (hashed(3), replace(hashed(4), code=code(50)), hashed(50), hashed(51)):
        orphan(library, film, milvus_codes.new_token())
    for _ in range(2):
        assert [library.find_codes(code(seed), 5) for seed in (3, 50)] == before
        library.optimise()
    assert library._codes._codes.count() == 24
    monkeypatch.setattr(milvus_codes, "ORPHANED_AFTER_S", -60.0)
    library.optimise()
    assert library._codes._codes.count() == 20
    assert [library.find_codes(code(seed), 5) for seed in (3, 50)] == before


def test_a_record_is_found_by_its_code_also_while_it_is_replaced(library: MilvusLibrary) -> None:
    library.add([hashed(1)])
    with ThreadPoolExecutor(1) as pool:
        changes = [replace(hashed(1), code=code(number)) for number in range(2, 12)]
        replacing = pool.submit(lambda: [library.add([change]) for change in changes])
        found = [len(library.find_codes(code(1), 3)) for _ in iter(replacing.done, True)]
    assert replacing.result() == [0] * 10
    assert found and set(found) == {1}


def test_replaced_and_removed_records_leave_no_codes_behind(library: MilvusLibrary) -> None:
    library.add([hashed(number) for number in range(10)])
    library.add([replace(hashed(number), code=code(number + 50)) for number in range(5)])
    library.remove([record_id(9)])
    assert library._codes._codes.count() == len(library) == 9


def test_a_library_that_was_half_made_is_finished(milvus_address: str) -> None:
    """Its collection is there, but has no index and is not loaded, as a process killed in between leaves it."""
    client = connect(milvus_address)
    client.create_collection(
        collection_name(milvus_address, "videos", HASHING), schema=rows.library_schema("videos", HASHING), num_shards=1
    )
    assert open_library(milvus_address, "videos", HASHING).add([hashed(1)]) == 1


def test_many_processes_may_make_one_library_at_once(milvus_address: str) -> None:
    program = """
import sys
from core.store import open_library
from tests.store.makers import ENCODER, record
print(open_library(sys.argv[1], "videos", ENCODER).add([record(int(sys.argv[2]))]))
"""
    command = [sys.executable, "-c", program, milvus_address]
    makers = [subprocess.Popen([*command, str(n)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for n in range(3)]
    assert [maker.communicate(timeout=300)[0] for maker in makers] == ["1\n"] * 3
    assert open_library(milvus_address, "videos", ENCODER).ids() == {record_id(number) for number in range(3)}
