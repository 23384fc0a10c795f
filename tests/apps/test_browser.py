"""The tab as people use it, in a real Chromium; screenshots go to tests/screenshots."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.apps.conftest import LOOPBACK, SCREENSHOTS, Server
from tests.factories import moving_clip
from tests.scenes import scene

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--mute-audio"]  # fmt: skip


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """One person with a browser window of their own; every host that the page asks is noted."""

    def __init__(self, browser: Browser, url: str, width: int = 1366, height: int = 900) -> None:
        self.context: BrowserContext = browser.new_context(viewport={"width": width, "height": height})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.hosts: set[str] = set()
        self.page.on("request", lambda request: self.hosts.add(re.sub(r"^\w+:(//)?([^/:]*).*", r"\2", request.url)))
        self.page.goto(url)
        expect(self.page.get_by_role("button", name="Add to library")).to_be_visible(timeout=30_000)

    def choose(self, label: str, *paths: Path) -> None:
        zone = self.page.locator(".block", has_text=label)
        zone.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
        expect(self.page.get_by_text(paths[-1].suffix).first).to_be_visible()

    def add(self, *paths: Path) -> None:
        self.choose("Videos to add", *paths)
        self.page.get_by_role("button", name="Add to library").click()

    def find(self, path: Path) -> None:
        self.choose("Video to compare with", path)
        self.page.get_by_role("button", name="Find similar", exact=True).click()

    def photograph(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    visitor = Visitor(browser, server.url)
    yield visitor
    visitor.context.close()
    assert all(host == "" or host.startswith(LOOPBACK) for host in visitor.hosts), visitor.hosts


@pytest.fixture(scope="module")
def films(clips: dict[str, Path], browser: Browser, server: Server) -> dict[str, Path]:
    """The clips, put into the library by a person."""
    person = Visitor(browser, server.url)
    person.add(*clips.values())
    expect(person.page.get_by_role("status").filter(has_text="Done:")).to_be_visible(timeout=60_000)
    person.context.close()
    return clips


def in_library(page: Page, title: str) -> Locator:
    """The library's picture of a film."""
    pictures = page.locator("#video-search-library").get_by_role("button")
    return pictures.filter(has=page.get_by_role("img", name=title, exact=True))


def first_title(page: Page) -> str:
    return page.locator(".card.found h3").first.inner_text()


def test_films_are_added_and_shown_in_the_library(visitor: Visitor, films: dict[str, Path], tmp_path: Path) -> None:
    visitor.add(scene(tmp_path / "regatta.mp4", "city", seed=3))
    expect(visitor.page.get_by_role("status").filter(has_text="1 added")).to_be_visible()
    expect(visitor.page.locator("#video-search-library").get_by_text("regatta")).to_be_visible()
    visitor.photograph("library")


def test_a_copy_finds_its_original_and_every_result_plays(
    visitor: Visitor, films: dict[str, Path], tmp_path: Path
) -> None:
    visitor.find(scene(tmp_path / "copy.mp4", "traffic", size=(160, 120), crf=36))
    expect(visitor.page.locator(".card.found")).to_have_count(5)
    assert first_title(visitor.page) == "traffic"
    players = visitor.page.locator(".matches video")
    assert players.count() == 6
    for index in range(6):
        ready = "v => new Promise(done => { if (v.readyState > 1) done(true); v.onloadeddata = () => done(true);"
        ready += " v.onerror = () => done(false); v.preload = 'auto'; })"
        assert players.nth(index).evaluate(ready), f"player {index} cannot play its file"
    visitor.photograph("results")


def test_a_click_in_the_library_searches_with_that_film(visitor: Visitor, films: dict[str, Path]) -> None:
    in_library(visitor.page, "meadow").first.click()
    expect(visitor.page.locator(".card.query h3")).to_have_text("meadow")
    expect(visitor.page.locator(".card.found")).to_have_count(5)
    assert "meadow" not in visitor.page.locator(".card.found h3").all_inner_texts()


def test_a_bad_file_gets_its_sentence_and_the_page_goes_on(
    visitor: Visitor, films: dict[str, Path], not_media: Path
) -> None:
    visitor.find(not_media)
    expect(visitor.page.get_by_test_id("toast-body")).to_contain_text("letter.mp4 is not a film")
    visitor.photograph("bad_file")
    visitor.page.reload()
    visitor.find(films["stage"])
    expect(visitor.page.locator(".card.found h3").first).to_have_text("stage")


def test_stop_ends_an_addition_and_keeps_what_was_finished(
    visitor: Visitor, films: dict[str, Path], tmp_path: Path
) -> None:
    visitor.add(*(moving_clip(tmp_path / f"reel{n}.mp4", duration_s=20, frame_rate=12, seed=70 + n) for n in range(6)))
    expect(visitor.page.get_by_role("status").filter(has_text="Adding:")).to_be_visible(timeout=60_000)
    visitor.page.get_by_role("button", name="Stop adding").click()
    expect(visitor.page.get_by_role("status").filter(has_text="Stopped:")).to_be_visible(timeout=60_000)
    visitor.page.get_by_label("Filter the library").fill("reel")
    expect(visitor.page.get_by_role("status").filter(has_text=re.compile(r"^[1-5] videos?:"))).to_be_visible()


def test_two_people_at_once_see_their_own_results(
    browser: Browser, server: Server, visitor: Visitor, films: dict[str, Path]
) -> None:
    other = Visitor(browser, server.url)
    visitor.find(films["harbour"])
    other.find(films["kitchen"])
    for person, title in ((visitor, "harbour"), (other, "kitchen")):
        expect(person.page.locator(".card.query h3")).to_have_text(title)
        assert first_title(person.page) == title
    other.context.close()


@pytest.mark.parametrize(("name", "width"), [("phone", 390), ("laptop", 1280), ("wide", 1920)])
def test_the_page_fits_its_window_in_light_and_dark(
    browser: Browser, server: Server, films: dict[str, Path], name: str, width: int
) -> None:
    for scheme in ("light", "dark"):
        person = Visitor(browser, f"{server.url}/?__theme={scheme}", width, 900)
        in_library(person.page, "meadow").first.click()
        expect(person.page.locator(".card.found")).to_have_count(5)
        overflow = person.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{overflow} pixels wider than the window"
        person.photograph(f"{name}_{scheme}")
        person.context.close()


def test_a_removal_asks_for_a_selection_first(visitor: Visitor, films: dict[str, Path], tmp_path: Path) -> None:
    button = visitor.page.get_by_role("button", name="Remove the selected video")
    expect(button).to_be_disabled()
    visitor.add(moving_clip(tmp_path / "mistake.mp4", duration_s=1, seed=61))
    picture = in_library(visitor.page, "mistake")
    picture.first.click()
    expect(button).to_be_enabled()
    button.click()
    expect(picture).to_have_count(0)
    expect(visitor.page.locator("#video-search-results")).to_contain_text("Removed")
    expect(button).to_be_disabled()
    expect(visitor.page.get_by_test_id("toast-body")).to_have_count(0)


def test_everything_can_be_reached_and_used_with_the_keyboard(visitor: Visitor, films: dict[str, Path]) -> None:
    reached = set()
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        reached.add(visitor.page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''"))
    text = "\n".join(reached)
    for name in ("Add to library", "Stop adding", "Find similar", "Stop searching"):
        assert name in text, f"{name} cannot be reached with Tab"
    unlabelled = visitor.page.evaluate(
        "[...document.querySelectorAll('input:not([type=file]):not([hidden]), textarea, video')]"
        ".filter(e => e.offsetParent && !e.ariaLabel && !(e.labels && e.labels.length)).map(e => e.outerHTML)"
    )
    assert unlabelled == []
