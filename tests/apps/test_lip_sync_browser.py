"""The lip-sync tab as people use it, in a real Chromium; screenshots go to tests/screenshots."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.media import probe
from tests.apps.conftest import LOOPBACK, Server
from tests.apps.test_lip_sync import ASSETS, PATIENCE_S, film, networks, shipped  # noqa: F401  # a fixture for all
from tests.apps.visitor import Visitor
from tests.factories import sound_file

pytestmark = pytest.mark.browser
FACE = "Film or picture with a face"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of two faces, and half of one of a cup."""
    return film(tmp_path_factory.mktemp("pair") / "pair.mp4", heads=2, shown=10, coffee=5)


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Visitor]:
    visitor = Visitor(browser, server.url)
    open_tab(visitor)
    yield visitor
    visitor.context.close()
    foreign = visitor.hosts - {"", "http"}  # the players of sound hold it as blob:http://…
    assert all(host.startswith(LOOPBACK) for host in foreign), foreign


def open_tab(person: Visitor) -> None:
    """Open the tab, and wait until it is there."""
    person.open_tab("Lip-sync")
    expect(person.page.get_by_role("button", name="Inspect")).to_be_visible()


def inspect(person: Visitor, path: Path) -> Locator:
    """Choose and inspect a film; what is told of it."""
    person.choose(FACE, path)
    person.page.get_by_role("button", name="Inspect").click()
    told = person.page.locator("#lip-sync-faces")
    expect(told.locator(".facts")).to_be_visible()
    return told


def record(page: Page, path: Path) -> None:
    """Upload speech, and wait until the player has it."""
    page.get_by_test_id("file-upload").and_(page.locator("input[accept*=audio]")).first.set_input_files(str(path))
    expect(
        page.get_by_label("Speech").or_(page.locator(".block", has_text="Speech")).locator("#waveform").first
    ).to_be_visible()


def consent(page: Page) -> None:
    page.get_by_label("I may use this face and this voice").check()


def test_faces_are_shown_one_speaks_and_the_films_run_in_step(person: Visitor, pair: Path) -> None:
    page = person.page
    told = inspect(person, pair)
    expect(told.get_by_role("status")).to_contain_text("2 faces found")
    expect(told).to_contain_text("5 pictures without a face of 15: 1.0 s to 1.5 s")
    expect(told.locator(".card.face img")).to_have_count(2)
    person.photograph("lip_sync_inspected")
    record(page, ASSETS / "sample_en.wav")
    told.get_by_label("Face 1 says").select_option("the speech")
    expect(told.locator(".card.face.chosen h3")).to_have_text("Face 1")
    consent(page)
    page.get_by_role("button", name="Test three seconds").click()
    result = page.locator("#lip-sync-told")
    expect(result.get_by_role("status")).to_contain_text("Done: 20 of 30 pictures have a new mouth")
    expect(result).to_contain_text("10 pictures left as they are")
    expect(result).to_contain_text("Sight and sound")
    ready = "() => [...document.querySelectorAll('#lip-sync-players video')].every(v => v.readyState > 1"
    page.wait_for_function(f"{ready})")
    person.photograph("lip_sync_rendered")
    page.locator("#lip-sync-players").get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(f"{ready} && !v.paused && v.currentTime > 0.2)")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download the new film").click()
    assert taken.value.suggested_filename == "pair speaking.mp4"
    assert probe(taken.value.path()).duration_s == 3


def test_a_text_is_heard_first_and_then_said(person: Visitor, tmp_path: Path) -> None:
    page = person.page
    inspect(person, film(tmp_path / "solo.mp4", shown=5, coffee=0))
    page.get_by_label("A text", exact=True).check()
    page.get_by_label("Text", exact=True).fill("Guten Tag.")
    page.get_by_label("Language").click()
    page.get_by_label("Language").fill("German")
    page.get_by_role("option", name="German", exact=True).click()
    page.get_by_role("button", name="Preview the voice").click()
    expect(page.locator(".block", has_text="The voice").locator("#waveform").first).to_be_visible()
    consent(page)
    page.get_by_role("button", name="Render", exact=True).click()
    expect(page.locator("#lip-sync-told").get_by_role("status")).to_contain_text("Done: ")
    expect(page.locator("#lip-sync-players video")).to_have_count(2)
    person.photograph("lip_sync_text")


def test_a_mouth_is_drawn_where_no_face_is_found(person: Visitor, tmp_path: Path) -> None:
    page = person.page
    told = inspect(person, film(tmp_path / "cup.mp4", shown=0, coffee=5))
    expect(told.get_by_role("status")).to_contain_text("No face was found. Draw a mouth below")
    person.unfold("Draw a mouth, where no face is found")
    page.get_by_role("button", name="Show the picture").click()
    picture = page.locator("#lip-sync-drawing img")
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('#lip-sync-drawing img').complete")
    picture.scroll_into_view_if_needed()
    area = picture.bounding_box()
    assert area
    page.mouse.move(area["x"] + area["width"] / 4, area["y"] + area["height"] / 2)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] * 0.75, steps=4)
    page.mouse.up()
    for side, at in (("Left", 60), ("Top", 120), ("Right", 120), ("Bottom", 180)):
        expect(page.get_by_label(side, exact=True)).to_have_value(str(at))
    page.get_by_role("button", name="Use this mouth").click()
    expect(page.locator("#lip-sync-drawn")).to_contain_text("Picture 0: from 60, 120 to 120, 180 px")
    person.photograph("lip_sync_drawn")
    record(page, sound_file(tmp_path / "hum.wav", 0.5))
    consent(page)
    page.get_by_role("button", name="Render", exact=True).click()
    expect(page.locator("#lip-sync-told").get_by_role("status")).to_contain_text("Done: 5 of 5")
    page.get_by_role("button", name="Forget all mouths").click()
    expect(page.locator("#lip-sync-drawn")).to_contain_text("No mouth is drawn")


def test_another_recording_is_offered_beside_each_face(person: Visitor, pair: Path, tmp_path: Path) -> None:
    page = person.page
    told = inspect(person, pair)
    told.get_by_label("Face 0 says").select_option("the speech")
    person.unfold("Something else for single faces")
    person.choose("Other recordings", sound_file(tmp_path / "anna.wav", 0.5))
    told.get_by_label("Face 1 says").select_option("anna.wav")
    expect(told.get_by_label("Face 0 says")).to_have_value("0")
    expect(told.locator(".card.face.chosen")).to_have_count(2)
    record(page, ASSETS / "sample_en.wav")
    consent(page)
    page.get_by_role("button", name="Test three seconds").click()
    expect(page.locator("#lip-sync-told").get_by_role("status")).to_contain_text("Done: 20 of 30")


def test_what_is_missing_is_said_and_consent_is_asked_for(person: Visitor, pair: Path, not_media: Path) -> None:
    page, toast = person.page, person.page.get_by_test_id("toast-body")
    page.get_by_role("button", name="Inspect").click()
    expect(toast.last).to_contain_text("choose a film or a picture first")
    person.choose(FACE, pair)
    page.get_by_role("button", name="Render", exact=True).click()
    expect(toast.last).to_contain_text("record or upload speech")
    record(page, ASSETS / "sample_en.wav")
    page.get_by_role("button", name="Render", exact=True).click()
    expect(toast.last).to_contain_text("Nothing is made without consent")
    expect(page.get_by_text("learned from made films only")).to_be_visible()


def test_another_film_clears_what_was_told_of_the_one_before(person: Visitor, pair: Path, tmp_path: Path) -> None:
    told = inspect(person, pair)
    told.get_by_label("Face 0 says").select_option("the speech")
    person.page.get_by_label("Clear").first.click()
    expect(told.locator(".card.face")).to_have_count(0)
    again = inspect(person, film(tmp_path / "solo.mp4", shown=5, coffee=0))
    expect(again.get_by_role("status")).to_contain_text("1 face found")
    expect(again.locator(".card.face.chosen")).to_have_count(0)


def test_stop_ends_a_render(person: Visitor, pair: Path) -> None:
    begun, released = threading.Event(), threading.Event()

    def held(*_: object) -> None:
        begun.set()
        assert released.wait(PATIENCE_S)

    page = person.page
    inspect(person, pair)
    record(page, ASSETS / "sample_zh.wav")
    consent(page)
    hooks = [part.register_forward_pre_hook(held) for part in shipped().modules()]
    page.get_by_role("button", name="Test three seconds").click()
    assert begun.wait(PATIENCE_S)
    page.get_by_role("button", name="Stop lip-sync").click()
    page.wait_for_timeout(2000)
    released.set()
    expect(page.get_by_test_id("toast-body").last).to_contain_text("Stopped at your request")
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize(("name", "width"), [("phone", 390), ("laptop", 1280)])
def test_the_tab_fits_its_window_in_light_and_dark(
    browser: Browser, server: Server, pair: Path, name: str, width: int
) -> None:
    person = Visitor(browser, f"{server.url}/?__theme=light", width, 900)
    page = person.page
    open_tab(person)
    inspect(person, pair)
    record(page, ASSETS / "sample_en.wav")
    consent(page)
    page.get_by_role("button", name="Test three seconds").click()
    expect(page.locator("#lip-sync-told").get_by_role("status")).to_contain_text("Done: ")
    for title in ("Draw a mouth, where no face is found", "Options", "Something else for single faces"):
        person.unfold(title)
    page.get_by_role("button", name="Show the picture").click()
    expect(page.locator("#lip-sync-drawing img")).to_be_visible()
    for scheme in ("light", "dark"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{overflow} pixels wider than the window"
        person.photograph(f"lip_sync_{name}_{scheme}")
    person.context.close()
