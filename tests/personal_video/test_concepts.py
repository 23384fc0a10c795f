"""The concept database: adding, finding, changing, sharing, and being killed."""

import json
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import (
    MediaDamagedError,
    MediaError,
    MediaLimitError,
    MediaOpenError,
    NoSubjectError,
    ParameterError,
    StoreError,
)
from core.personal_video import exchange
from core.personal_video.concepts import ConceptDatabase
from core.personal_video.config import ConceptConfig
from core.personal_video.cutting import Cutout
from core.personal_video.exchange import export_concepts, import_concepts
from core.personal_video.prompt import parse_prompt
from core.store import EncoderVersion
from tests.personal_video.conftest import ColourEncoder, cutout, disc, saved

RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 160, 30)
NETWORK = EncoderVersion("extraction", "1.0", 1)


def pixels_of(cutouts: list[Cutout]) -> list[bytes]:
    return [cutout.pixels.tobytes() for cutout in cutouts]


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def killed(*_: object) -> None:
    raise Killed


# ---- adding and finding


def test_a_concept_keeps_the_subjects_of_its_pictures_in_order(database: ConceptDatabase, tmp_path: Path) -> None:
    paths = [saved(tmp_path, f"{n}.png", disc(colour)) for n, colour in enumerate((RED, BLUE))]
    concept = database.add("Biscuit", paths)
    kept = ConceptDatabase(database.address).cutouts("biscuit")
    assert pixels_of(kept) == pixels_of(list(database.preview(paths).cutouts))
    assert [cutout.source for cutout in kept] == ["0.png", "1.png"]
    assert ConceptDatabase(database.address).concept("BISCUIT") == concept


def test_what_a_preview_shows_is_what_is_added_and_the_preview_keeps_nothing(
    database: ConceptDatabase, tmp_path: Path
) -> None:
    blank = saved(tmp_path, "blank.png", np.full((32, 32, 3), 200, np.uint8))
    preview = database.preview([saved(tmp_path, "disc.png", disc(RED)), blank, tmp_path / "missing.png"])
    assert database.concepts() == []
    assert ["blank.png" in preview.refused[0], "missing.png" in preview.refused[1]] == [True, True]
    database.add("disc", preview.cutouts)
    assert pixels_of(database.cutouts("disc")) == pixels_of(list(preview.cutouts))


def test_a_list_shows_every_concept_with_a_thumbnail_the_newest_first(database: ConceptDatabase) -> None:
    for word, colour in (("red", RED), ("blue", BLUE)):
        database.add(word, [cutout(colour, 400)])
    assert database.words() == ["blue", "red"]
    for concept, colour in zip(database.concepts(), (BLUE, RED), strict=True):
        saved_as = Path(database.address, f"../{concept.word}.png")
        saved_as.write_bytes(concept.thumbnail)
        thumbnail = np.asarray(Image.open(saved_as))
        assert max(thumbnail.shape) == ConceptConfig().thumbnail_side_px
        np.testing.assert_array_equal(thumbnail[80, 80], (*colour, 255))


def test_prompts_are_read_with_the_words_of_the_database(database: ConceptDatabase) -> None:
    database.add("小白", [cutout()])
    assert parse_prompt("<小白>在跑", database.words()).words == ("小白",)


@pytest.mark.parametrize("taken", ["biscuit", "BISCUIT", " <Biscuit> "])
def test_a_word_can_be_added_only_once_however_it_is_written(taken: str, database: ConceptDatabase) -> None:
    database.add("Biscuit", [cutout(RED)])
    with pytest.raises(ParameterError, match="a concept Biscuit already"):
        database.add(taken, [cutout(BLUE)])
    assert pixels_of(database.cutouts("biscuit")) == pixels_of([cutout(RED)])


def test_a_concept_needs_a_picture_and_takes_no_more_than_the_config_allows(tmp_path: Path) -> None:
    database = ConceptDatabase(tmp_path / "library", ColourEncoder(), ConceptConfig(max_pictures=2))
    three = [cutout(colour) for colour in (RED, BLUE, GREEN)]
    with pytest.raises(ParameterError, match="has no picture"):
        database.add("biscuit", [])
    with pytest.raises(ParameterError, match="3 pictures, more than 2"):
        database.add("biscuit", three)
    database.add("biscuit", three[:2])
    with pytest.raises(ParameterError, match="3 pictures, more than 2"):
        database.add_pictures("biscuit", three[2:])
    assert len(database.cutouts("biscuit")) == 2


def test_one_picture_without_a_subject_keeps_the_whole_concept_out(database: ConceptDatabase, tmp_path: Path) -> None:
    blank = saved(tmp_path, "blank.png", np.full((32, 32, 3), 200, np.uint8))
    with pytest.raises(NoSubjectError, match=r"blank\.png"):
        database.add("biscuit", [cutout(), blank])
    assert database.concepts() == []


def test_further_pictures_stand_behind_the_first_and_the_same_one_again_is_passed_over(
    database: ConceptDatabase,
) -> None:
    first = database.add("biscuit", [cutout(RED)])
    second = database.add_pictures("biscuit", [cutout(RED), cutout(BLUE)])
    assert pixels_of(database.cutouts("biscuit")) == pixels_of([cutout(RED), cutout(BLUE)])
    assert (second.id, second.thumbnail, second.added_at) == (first.id, first.thumbnail, first.added_at)


def test_an_unknown_word_is_an_error_that_names_the_nearest_first(database: ConceptDatabase) -> None:
    with pytest.raises(ParameterError, match="database is empty"):
        database.concept("biscuit")
    for word in ("zebra", "biscuit"):
        database.add(word, [cutout()])
    for ask in (database.concept, database.cutouts, database.reference, database.remove):
        with pytest.raises(ParameterError, match="no concept biskuit; choose one of biscuit, zebra"):
            ask("biskuit")


# ---- changing


def test_a_renamed_concept_keeps_pictures_features_and_place(database: ConceptDatabase) -> None:
    database.add("biscuit", [cutout(RED)])
    database.add("milo", [cutout(BLUE)])
    reference = database.reference("biscuit")
    database.keep_details("biscuit", NETWORK, {"8": np.arange(3)})
    database.rename("biscuit", "Old Grey Cat")
    assert database.words() == ["milo", "Old Grey Cat"]
    np.testing.assert_array_equal(database.reference("old grey cat"), reference)
    assert database.details("old grey cat", NETWORK) is not None
    database.rename("old grey cat", "OLD GREY CAT")
    with pytest.raises(ParameterError, match="milo already"):
        database.rename("old grey cat", "MILO")
    with pytest.raises(ParameterError, match="no concept biscuit"):
        database.rename("biscuit", "other")
    assert database.words() == ["milo", "OLD GREY CAT"]


def test_a_removed_concept_leaves_nothing_behind_and_its_word_is_free(database: ConceptDatabase) -> None:
    database.add("milo", [cutout(RED)])
    database.add("biscuit", [cutout(RED)])
    database.reference("biscuit")
    database.keep_details("biscuit", NETWORK, {"8": np.arange(3)})
    database.remove("biscuit")
    assert database.words() == ["milo"]
    assert pixels_of(database.cutouts("milo")) == pixels_of([cutout(RED)])
    database.add("biscuit", [cutout(BLUE)])
    assert database.details("biscuit", NETWORK) is None
    assert pixels_of(database.cutouts("biscuit")) == pixels_of([cutout(BLUE)])


# ---- features


def test_the_reference_is_the_mean_direction_of_the_pictures_vectors(
    database: ConceptDatabase, encoder: ColourEncoder
) -> None:
    cutouts = [cutout(RED), cutout(BLUE, 20)]
    database.add("biscuit", cutouts)
    vectors = [encoder.encode(cutout.square(encoder.size)[None])[0] for cutout in cutouts]
    mean = sum(vector / np.linalg.norm(vector) for vector in vectors)
    np.testing.assert_allclose(database.reference("biscuit"), mean / np.linalg.norm(mean), atol=1e-6)


def test_a_reference_is_made_once_and_again_only_after_pictures_were_added(
    database: ConceptDatabase, encoder: ColourEncoder
) -> None:
    database.add("biscuit", [cutout(RED)])
    first = database.reference("biscuit")
    np.testing.assert_array_equal(ConceptDatabase(database.address, encoder).reference("Biscuit"), first)
    assert encoder.seen == 1
    database.add_pictures("biscuit", [cutout(BLUE)])
    assert not np.allclose(database.reference("biscuit"), first)
    assert encoder.seen == 3


def test_another_version_of_the_encoder_makes_a_reference_of_its_own(database: ConceptDatabase) -> None:
    database.add("biscuit", [cutout(RED)])
    database.reference("biscuit")
    other = ColourEncoder()
    other.version = "2"
    ConceptDatabase(database.address, other).reference("biscuit")
    assert other.seen == 1


def test_details_come_back_bit_by_bit_and_go_stale_when_pictures_are_added(database: ConceptDatabase) -> None:
    arrays = {
        "16": np.random.default_rng(0).normal(size=(4, 16, 16)).astype(np.float16),
        "mask": np.array([[True, False]]),
        "transposed": np.arange(6.0).reshape(2, 3).T,
    }
    database.add("biscuit", [cutout(RED)])
    assert database.details("biscuit", NETWORK) is None
    database.keep_details("biscuit", NETWORK, arrays)
    kept = database.details("BISCUIT", NETWORK)
    assert kept is not None and kept.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(kept[name], array)
        assert kept[name].dtype == array.dtype
    assert database.details("biscuit", replace(NETWORK, version="1.1")) is None
    database.add_pictures("biscuit", [cutout(BLUE)])
    assert database.details("biscuit", NETWORK) is None


# ---- being killed, and several at once


def test_a_kill_before_the_word_is_written_leaves_no_concept_and_the_next_change_sweeps_up(
    database: ConceptDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("milo", [cutout(RED)])
    with monkeypatch.context() as patch:
        patch.setattr(database._words, "add", killed)
        with pytest.raises(Killed):
            database.add("biscuit", [cutout(BLUE)])
        with pytest.raises(Killed):
            database.add_pictures("milo", [cutout(GREEN)])
    after = ConceptDatabase(database.address)
    assert after.words() == ["milo"]
    assert pixels_of(after.cutouts("milo")) == pixels_of([cutout(RED)])
    after.add("biscuit", [cutout(BLUE)])
    assert len(after._cutouts) == 2


def test_a_kill_in_the_middle_of_removing_leaves_no_concept(
    database: ConceptDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("biscuit", [cutout(BLUE)])
    with monkeypatch.context() as patch:
        patch.setattr(database._cutouts, "remove", killed)
        with pytest.raises(Killed):
            database.remove("biscuit")
    after = ConceptDatabase(database.address)
    assert after.words() == []
    after.add("milo", [cutout(RED)])
    assert len(after._cutouts) == 1


def test_of_many_who_add_one_word_at_once_one_succeeds(database: ConceptDatabase) -> None:
    outcomes: list[str] = []

    def add(colour: tuple[int, int, int]) -> None:
        try:
            ConceptDatabase(database.address).add("biscuit", [cutout(colour)])
            outcomes.append("added")
        except ParameterError:
            outcomes.append("taken")

    threads = [threading.Thread(target=add, args=(colour,)) for colour in (RED, BLUE, GREEN)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["added", "taken", "taken"]
    assert len(database.concepts()) == len(database.cutouts("biscuit")) == 1


def test_a_folder_of_other_things_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="holds other things"):
        ConceptDatabase(tmp_path)


# ---- sharing


@pytest.fixture
def exported(database: ConceptDatabase, tmp_path: Path) -> Path:
    database.add("Biscuit", [cutout(RED), cutout(BLUE)])
    database.add("小白", [cutout(GREEN)])
    return export_concepts(database, tmp_path / "mine.concepts.zip")


@pytest.fixture
def other(tmp_path: Path) -> ConceptDatabase:
    return ConceptDatabase(tmp_path / "other", ColourEncoder())


def test_an_exported_file_brings_words_and_pictures_to_another_database(
    exported: Path, database: ConceptDatabase, other: ConceptDatabase
) -> None:
    import_concepts(other, exported)
    assert sorted(other.words()) == sorted(database.words())
    for word in database.words():
        assert other.cutouts(word)[0].source == database.cutouts(word)[0].source
        assert pixels_of(other.cutouts(word)) == pixels_of(database.cutouts(word))
        np.testing.assert_array_equal(other.reference(word), database.reference(word))


def test_the_same_concepts_give_the_same_file_and_some_of_them_can_be_chosen(
    exported: Path, database: ConceptDatabase, other: ConceptDatabase, tmp_path: Path
) -> None:
    again = export_concepts(database, tmp_path / "again.zip")
    assert again.read_bytes() == exported.read_bytes()
    import_concepts(other, export_concepts(database, tmp_path / "some.zip", ["BISCUIT"]))
    assert other.words() == ["Biscuit"]


def test_one_taken_word_keeps_the_whole_file_out_unless_it_is_to_be_replaced(
    exported: Path, other: ConceptDatabase
) -> None:
    mine = other.add("BISCUIT", [cutout(GREEN), cutout(RED)])
    with pytest.raises(ParameterError, match="BISCUIT already"):
        import_concepts(other, exported)
    assert other.words() == ["BISCUIT"]
    import_concepts(other, exported, replacing=True)
    assert pixels_of(other.cutouts("biscuit")) == pixels_of([cutout(RED), cutout(BLUE)])
    assert other.concept("biscuit").id == mine.id
    assert len(other._cutouts) == 3


def test_nothing_of_a_file_is_kept_when_the_import_is_killed(
    exported: Path, other: ConceptDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.add("biscuit", [cutout(GREEN)])
    with monkeypatch.context() as patch:
        patch.setattr(other._words, "add", killed)
        with pytest.raises(Killed):
            import_concepts(other, exported, replacing=True)
    assert pixels_of(other.cutouts("biscuit")) == pixels_of([cutout(GREEN)])
    assert other.words() == ["biscuit"]


def test_an_empty_database_cannot_be_exported_and_a_failed_export_leaves_no_file(
    other: ConceptDatabase, tmp_path: Path
) -> None:
    out = tmp_path / "none.zip"
    with pytest.raises(ParameterError, match="no concept to export"):
        export_concepts(other, out)
    other.add("biscuit", [cutout()])
    other._cutouts.remove(sorted(other._cutouts.ids()))
    with pytest.raises(StoreError):
        export_concepts(other, out)
    assert [path for path in tmp_path.iterdir() if "zip" in path.name] == []


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    change(content)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def relisted(**facts: object) -> Callable[[dict[str, bytes]], None]:
    def change(content: dict[str, bytes]) -> None:
        content["concepts.json"] = json.dumps(json.loads(content["concepts.json"]) | facts).encode()

    return change


def swapped(content: dict[str, bytes]) -> None:
    content["0000/000.png"] = content["0001/000.png"]


def no_png(content: dict[str, bytes]) -> None:
    import hashlib

    content["0000/000.png"] = b"no picture"
    listing = json.loads(content["concepts.json"])
    listing["concepts"][0]["pictures"][0]["sha256"] = hashlib.sha256(b"no picture").hexdigest()
    content["concepts.json"] = json.dumps(listing).encode()


ENTRY = {"word": "x", "pictures": [{"file": "0000/000.png", "sha256": "0"}]}


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (swapped, MediaDamagedError, "not what was exported"),
        (no_png, MediaDamagedError, "damaged"),
        (lambda content: content.pop("0000/000.png"), MediaDamagedError, "lacks"),
        (lambda content: content.pop("concepts.json"), MediaOpenError, "not a file of concepts"),
        (lambda content: content.update({"concepts.json": b"\xff{"}), MediaDamagedError, "list"),
        (lambda content: content.update({"concepts.json": b"[" * 100_000}), MediaDamagedError, "list"),
        (relisted(format="recipes"), MediaOpenError, "another program"),
        (relisted(version=2), MediaOpenError, "later version"),
        (relisted(concepts=[]), MediaDamagedError, "not complete"),
        (relisted(concepts=[ENTRY]), MediaDamagedError, "list"),
        (relisted(concepts=[{"word": "x", "pictures": []}]), ParameterError, "no picture"),
        (relisted(concepts=[{"word": "x", "pictures": []}] * 2), MediaDamagedError, "not complete"),
        (relisted(concepts=[{"word": "x y/z", "pictures": []}]), ParameterError, "holds '/'"),
        (relisted(concepts=[{"word": w, "pictures": []} for w in "xX"]), ParameterError, "twice"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused_whole(
    change: Callable[[dict[str, bytes]], None],
    error: type[Exception],
    told: str,
    exported: Path,
    other: ConceptDatabase,
) -> None:
    with pytest.raises(error, match=told):
        import_concepts(other, rewritten(exported, change))
    assert other.concepts() == []


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(keep: float, exported: Path, other: ConceptDatabase) -> None:
    content = exported.read_bytes()
    exported.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(MediaError, match=exported.name):
        import_concepts(other, exported)
    assert other.concepts() == []


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused_unread(
    exported: Path, other: ConceptDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MOST_BYTES", 500)
    with pytest.raises(MediaLimitError, match="export fewer"):
        import_concepts(other, exported)


# ---- many


def test_two_hundred_concepts_are_listed_and_found_about_as_quickly_each_as_ten(tmp_path: Path) -> None:
    """Twenty times as many may take twenty times as long to list, not the square of it; one is found without all."""
    databases = {}
    for count in (10, 200):
        databases[count] = ConceptDatabase(tmp_path / str(count))
        databases[count].cut_many({f"word {n}": [cutout((n, 0, 0))] for n in range(count)})

    def quickest_s(ask: Callable[[ConceptDatabase], object], count: int) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            ask(databases[count])
            times.append(time.perf_counter() - start)
        return min(times)

    for ask in (ConceptDatabase.concepts, lambda database: database.cutouts("word 7")):
        assert quickest_s(ask, 200) < 20 * quickest_s(ask, 10)
    assert len(databases[200].concepts()) == 200
