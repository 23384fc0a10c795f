"""The music tab as people use it, in a real Chromium; screenshots go to tests/screenshots."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.media import probe
from core.music_matching import laying
from core.music_matching.listening import Listener
from core.music_matching.looking import Watcher
from tests.apps.conftest import LOOPBACK, Server
from tests.apps.visitor import PATIENCE_MS, Visitor
from tests.music_matching.makers import film, groove_file, spoken

pytestmark = pytest.mark.browser
FILM = "Film that needs music"
Hold = Callable[..., threading.Event]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("video") / "trip.mp4", 6, (2.0, 4.0), spoken(6, 0.5))


@pytest.fixture(scope="module")
def grooves(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("music")
    return [groove_file(folder / "QuietLake.wav", 14, 72), groove_file(folder / "NightTrain.ogg", 14, 148)]


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Visitor]:
    visitor = Visitor(browser, server.url)
    open_tab(visitor)
    yield visitor
    visitor.context.close()
    foreign = visitor.hosts - {"", "http"}
    assert all(host.startswith(LOOPBACK) for host in foreign), foreign


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """Makes a part of the work wait from its ``nth`` call on; gives the event that tells that it does."""
    released = threading.Event()

    def held(owner: object, name: str, nth: int = 1) -> threading.Event:
        begun, usual, calls = threading.Event(), getattr(owner, name), itertools.count(1)

        def waiting(*arguments: Any, **named: Any) -> Any:
            if next(calls) >= nth:
                begun.set()
                assert released.wait(PATIENCE_MS / 1000)
            return usual(*arguments, **named)

        monkeypatch.setattr(owner, name, waiting)
        return begun

    vars(held)["release"] = released.set
    yield held
    released.set()


def open_tab(person: Visitor) -> None:
    """Open the tab, and wait until it is there."""
    person.open_tab("Music")
    expect(person.page.get_by_role("button", name="Find music")).to_be_visible()


def library(page: Page) -> Locator:
    return page.locator("#music-matching-library")


def add(person: Visitor, *paths: Path) -> None:
    person.choose("Music to add", *paths)
    person.page.get_by_role("button", name="Add music").click()


def with_music(person: Visitor, grooves: list[Path]) -> None:
    """See to it that the grooves are in the library."""
    add(person, *grooves)
    expect(person.page.get_by_role("status").filter(has_text="Done:")).to_be_visible()
    for groove in grooves:
        expect(library(person.page)).to_contain_text(groove.stem)


def find(person: Visitor, path: Path, text: str = "") -> Locator:
    """Choose a film and ask for music that fits it; the cards of the tracks."""
    person.choose(FILM, path)
    return ask(person.page, text)


def ask(page: Page, text: str) -> Locator:
    """Ask for music that fits the film that is chosen."""
    page.get_by_label("In words").fill(text)
    page.get_by_role("button", name="Find music").click()
    cards = page.locator(".card.track")
    expect(cards.filter(has_text=f"as asked: {text}" if text else "Plays").first).to_be_visible()
    return cards


def stop(page: Page, button: str, hold: Hold) -> None:
    """Press a button that stops, let the work go on, and see that it says so."""
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_timeout(2000)
    vars(hold)["release"]()


def test_music_is_added_filtered_and_removed_and_a_letter_is_named(
    person: Visitor, tmp_path: Path, not_media: Path
) -> None:
    page, letter = person.page, tmp_path / "letter.mp3"
    letter.write_bytes(not_media.read_bytes())
    page.get_by_label("Licence").first.fill("CC BY 4.0")
    add(person, groove_file(tmp_path / "Lantern.wav", 6), letter)
    expect(page.get_by_role("status").filter(has_text="Done: 1 added, 1 refused")).to_be_visible()
    expect(page.locator("ul.refused")).to_contain_text("letter.mp3 is not a film")
    page.get_by_label("Filter the music").fill("lantern")
    expect(library(page).locator("tbody tr")).to_have_count(1)
    expect(library(page)).to_contain_text("CC BY 4.0")
    library(page).get_by_role("button", name="Remove Lantern").click()
    expect(library(page).locator("tbody tr")).to_have_count(0)


def test_words_decide_between_tracks_that_show_score_reasons_licence_and_window(
    person: Visitor, grooves: list[Path], video: Path
) -> None:
    page = person.page
    with_music(person, grooves)
    person.choose(FILM, video)
    for asked, first, second in (("fast", "NightTrain", "QuietLake"), ("slow", "QuietLake", "NightTrain")):
        ask(page, asked)
        assert place_of(page, first) < place_of(page, second)
        card = page.locator(".card.track").filter(has_text=first)
        expect(card).to_contain_text("Licence: ")
        expect(card).to_contain_text("beats a minute")
        assert -1.5 <= float(card.get_by_label("score").inner_text()) <= 1.5
        wave = card.locator("svg.wave")
        expect(wave.locator(".cuts line")).to_have_count(2)
        window, whole = wave.locator(".window").bounding_box(), wave.bounding_box()
        assert window and whole and window["width"] / whole["width"] == pytest.approx(6 / 14, abs=0.03)


def place_of(page: Page, title: str) -> int:
    """The place of a track among those found."""
    titles = page.locator(".card.track h3").all_inner_texts()
    return next(place for place, told in enumerate(titles) if title in told)


def test_a_film_is_previewed_rendered_downloaded_and_handed_on(
    person: Visitor, grooves: list[Path], video: Path
) -> None:
    page = person.page
    with_music(person, grooves)
    find(person, video, "fast")
    page.get_by_role("button", name="Preview with NightTrain").click()
    players = page.locator("#music-matching-preview video")
    expect(players).to_have_count(2)
    page.wait_for_function("() => [...document.querySelectorAll('#music-matching-preview video')]"
                           ".every(v => v.readyState > 1)")  # fmt: skip
    page.locator("#music-matching-preview").get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => [...document.querySelectorAll('#music-matching-preview video')]"
                           ".every(v => !v.paused && v.currentTime > 0.2)")  # fmt: skip
    page.get_by_role("button", name="Use NightTrain").click()
    expect(page.locator("#music-matching-chosen")).to_contain_text("NightTrain")
    page.get_by_role("button", name="Render the film").click()
    expect(page.locator("#music-matching-told")).to_contain_text("LUFS")
    person.photograph("music")
    expect(page.get_by_role("button", name="Download the film")).to_be_enabled()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download the film").click()
    assert taken.value.suggested_filename == "trip with NightTrain.mp4"
    assert probe(taken.value.path()).duration_s == probe(video).duration_s
    page.locator("#music-matching-hand-on").get_by_role("button", name="Quality score").click()
    expect(page.get_by_role("button", name="Score", exact=True)).to_be_visible()
    expect(page.locator('a[download^="trip with NightTrain"]').locator("visible=true")).to_have_count(1)


def test_what_is_missing_is_said(person: Visitor, not_media: Path) -> None:
    page, toast = person.page, person.page.get_by_test_id("toast-body")
    page.get_by_role("button", name="Find music").click()
    expect(toast.filter(has_text="Choose a film first")).to_be_visible()
    page.get_by_role("button", name="Render the film").click()
    expect(toast.filter(has_text="then choose a track")).to_be_visible()
    page.get_by_role("button", name="Add music").click()
    expect(toast.filter(has_text="choose one or more files of music first")).to_be_visible()
    person.choose(FILM, not_media)
    page.get_by_role("button", name="Find music").click()
    expect(toast.filter(has_text="letter.mp4 is not a film")).to_be_visible()


def test_stop_ends_a_search(person: Visitor, grooves: list[Path], video: Path, hold: Hold) -> None:
    with_music(person, grooves)
    begun = hold(Watcher, "_movement")
    person.choose(FILM, video)
    person.page.get_by_role("button", name="Find music").click()
    assert begun.wait(PATIENCE_MS / 1000)
    stop(person.page, "Stop finding", hold)
    expect(person.page.get_by_test_id("toast-body").filter(has_text="Stopped at your request")).to_be_visible()
    expect(person.page.locator(".card.track")).to_have_count(0)


def test_stop_ends_a_render_and_leaves_no_film(
    person: Visitor, grooves: list[Path], video: Path, server: Server, hold: Hold
) -> None:
    page = person.page
    with_music(person, grooves)
    find(person, video)
    page.get_by_role("button", name="Use QuietLake").click()
    expect(page.locator("#music-matching-chosen")).to_contain_text("QuietLake")
    before = set(server.folder.rglob("trip with *"))
    begun = hold(laying, "measure_loudness")
    page.get_by_role("button", name="Render the film").click()
    assert begun.wait(PATIENCE_MS / 1000)
    stop(page, "Stop rendering", hold)
    expect(page.get_by_test_id("toast-body").filter(has_text="Stopped at your request")).to_be_visible()
    assert set(server.folder.rglob("trip with *")) == before
    expect(page.locator("#music-matching-told")).not_to_contain_text("LUFS")


def test_stop_ends_an_addition_and_keeps_what_was_finished(person: Visitor, tmp_path: Path, hold: Hold) -> None:
    page = person.page
    first, second = groove_file(tmp_path / "Stays.wav", 5), groove_file(tmp_path / "StillWaits.wav", 6)
    begun = hold(Listener, "describe", nth=2)
    add(person, first, second)
    assert begun.wait(PATIENCE_MS / 1000)
    stop(page, "Stop listening", hold)
    expect(page.get_by_role("status").filter(has_text="Stopped")).to_be_visible()
    expect(library(page)).to_contain_text("Stays")
    expect(library(page)).not_to_contain_text("StillWaits")


@pytest.mark.parametrize(("name", "width"), [("phone", 390), ("laptop", 1280)])
def test_the_tab_fits_its_window_in_light_and_dark(
    browser: Browser, server: Server, grooves: list[Path], video: Path, name: str, width: int
) -> None:
    person = Visitor(browser, f"{server.url}/?__theme=light", width, 900)
    page = person.page
    open_tab(person)
    with_music(person, grooves)
    find(person, video)
    page.get_by_role("button", name="Preview with QuietLake").click()
    expect(page.locator("#music-matching-preview video")).to_have_count(2)
    for scheme in ("light", "dark"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{overflow} pixels wider than the window"
        person.photograph(f"music_{name}_{scheme}")
    person.context.close()
