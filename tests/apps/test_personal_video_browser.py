"""The personal video tab as people use it, in a real Chromium; screenshots go to tests/screenshots."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Locator, Page, expect

from core.media import probe
from core.personal_video.film import read_settings
from tests.apps.conftest import LOOPBACK, Server
from tests.apps.test_personal_video import GREEN, RED, add, held, listed, networks  # noqa: F401  # a fixture for all
from tests.apps.visitor import Visitor
from tests.personal_video.conftest import disc, saved

pytestmark = pytest.mark.browser
PATIENCE_S = 120


@pytest.fixture(scope="module", autouse=True)
def biscuit(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A concept of the app's."""
    client = Client(server.url, verbose=False)
    if "biscuit" not in listed(client):
        add(client, "biscuit", saved(tmp_path_factory.mktemp("biscuit"), "biscuit.png", disc(RED)))


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Visitor]:
    visitor = Visitor(browser, server.url)
    open_tab(visitor)
    yield visitor
    visitor.context.close()
    assert all(host == "" or host.startswith(LOOPBACK) for host in visitor.hosts), visitor.hosts


def open_tab(person: Visitor) -> None:
    """Open the tab, and wait until it is there."""
    person.open_tab("Personal video")
    expect(person.page.get_by_role("button", name="Generate", exact=True)).to_be_visible()


def describe(page: Page, prompt: str) -> Locator:
    """Type a prompt; what is said of it."""
    page.get_by_label("Describe the video").fill(prompt)
    return page.locator("#personal-video-mode").get_by_role("status")


def generate(page: Page) -> Locator:
    """Make a video; what is told of it."""
    told = page.locator("#personal-video-told")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(told.get_by_role("status")).to_contain_text("Done: 2.0 s of 64 × 64")
    return told


def playing(page: Page, count: int) -> None:
    """Wait until so many players have their film."""
    expect(page.locator("#personal-video-players video")).to_have_count(count)
    page.wait_for_function(
        "() => [...document.querySelectorAll('#personal-video-players video')].every(v => v.readyState > 1)"
    )


def test_a_concept_is_touched_the_mode_is_said_a_video_made_and_enlarged(person: Visitor) -> None:
    page = person.page
    button = page.locator("#personal-video-concepts").get_by_role("button", name="biscuit")
    button.click()
    expect(page.get_by_label("Describe the video")).to_have_value("<biscuit>")
    expect(button).to_have_attribute("aria-pressed", "true")
    said = describe(page, "<biscuit> hops to the right on a light green background")
    expect(said).to_contain_text("Mode a: The concept looks as in the database.")
    told = generate(page)
    playing(page, 1)
    seed = page.get_by_label("Seed", exact=True).input_value()
    expect(told).to_contain_text(f"Seed {seed}")
    person.photograph("personal_video_first")
    page.get_by_role("button", name="Enlarge", exact=True).click()
    expect(told.get_by_role("status")).to_contain_text("Done: 2.0 s of 128 × 128")
    playing(page, 2)
    page.locator("#personal-video-players").get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('#personal-video-players video')].every(v => v.currentTime > 0.2)"
    )
    person.photograph("personal_video_enlarged")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download the larger video").click()
    assert probe(taken.value.path()).duration_s == 2
    assert (read_settings(taken.value.path()).factor, str(read_settings(taken.value.path()).seed)) == (2, seed)


def test_typing_a_word_lights_its_button_and_a_wrong_one_is_said(person: Visitor) -> None:
    page = person.page
    button = page.locator("#personal-video-concepts").get_by_role("button", name="biscuit")
    page.get_by_label("Describe the video").press_sequentially("my biscuit hops")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(page.get_by_label("Describe the video")).to_have_value("my hops")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#personal-video-mode")).to_contain_text("Mode d: No concept and no image")
    expect(describe(page, "<biskit> hops")).to_contain_text("No concept is called <biskit>; there is <biscuit>")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_test_id("toast-body").last).to_contain_text(re.compile("No concept is called <.biskit>"))


def test_an_image_is_cut_out_and_changes_the_mode(person: Visitor, tmp_path: Path) -> None:
    page = person.page
    describe(page, "biscuit hops")
    person.choose("Image, if you like", saved(tmp_path, "green.png", disc(GREEN)))
    said = page.locator("#personal-video-mode")
    expect(said.get_by_role("status")).to_contain_text("Likeness to <biscuit>")
    expect(said.locator(".subject img")).to_have_count(1)
    page.get_by_label("The image shows").click()
    page.get_by_role("option", name="biscuit", exact=True).click()
    expect(said.get_by_role("status")).to_contain_text("Mode b: ")
    generate(page)
    person.photograph("personal_video_image")


def test_a_kept_seed_makes_the_same_video_and_the_gallery_brings_an_earlier_one_back(person: Visitor) -> None:
    page = person.page
    describe(page, "biscuit spins")
    generate(page)
    seed = page.get_by_label("Seed", exact=True).input_value()
    cards = page.locator("#personal-video-gallery .card")
    expect(cards).to_have_count(1)
    describe(page, "it hops")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(cards).to_have_count(2)
    assert page.get_by_label("Seed", exact=True).input_value() != seed
    page.get_by_role("button", name="Show video 1 again").click()
    expect(page.get_by_label("Describe the video")).to_have_value("biscuit spins")
    expect(page.get_by_label("Seed", exact=True)).to_have_value(seed)
    expect(page.get_by_label("Keep this seed")).to_be_checked()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(cards).to_have_count(3)
    expect(page.get_by_label("Seed", exact=True)).to_have_value(seed)


def test_settings_come_back_from_a_file_and_it_can_be_enlarged(person: Visitor, browser: Browser, server: Server,
                                                              tmp_path: Path) -> None:  # fmt: skip
    page = person.page
    describe(page, "biscuit grows slowly")
    generate(page)
    seed = page.get_by_label("Seed", exact=True).input_value()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download the first video").click()
    file = tmp_path / "mine.mp4"
    taken.value.save_as(file)
    other = Visitor(browser, server.url)
    open_tab(other)
    other.unfold("Go on from a video of before")
    other.choose("First video", file)
    expect(other.page.get_by_label("Describe the video")).to_have_value("biscuit grows slowly")
    expect(other.page.get_by_label("Seed", exact=True)).to_have_value(seed)
    playing(other.page, 1)
    other.page.get_by_role("button", name="Enlarge", exact=True).click()
    expect(other.page.locator("#personal-video-told").get_by_role("status")).to_contain_text("128 × 128")
    playing(other.page, 2)
    other.context.close()


def test_it_is_seen_while_it_grows_and_stop_ends_it_and_leaves_what_was_made(person: Visitor) -> None:
    page = person.page
    shown = page.locator("#personal-video-preview figure")
    describe(page, "biscuit hops")
    page.evaluate(
        """() => { window.seen = []; new MutationObserver(() => {
            const told = document.querySelector('#personal-video-preview figcaption');
            if (told) window.seen.push(told.textContent);
        }).observe(document.querySelector('#personal-video-preview'), {childList: true, subtree: true}); }"""
    )
    told = generate(page)
    expect(shown).to_have_count(0)
    seen = page.evaluate("() => window.seen")
    assert seen and all(re.fullmatch(r"Step \d+ of 16(, about \d+ s left)?", text) for text in seen)
    with held(steps=2) as (begun, released):
        page.get_by_role("button", name="Generate", exact=True).click()
        assert begun.wait(PATIENCE_S)
        expect(shown.locator("img")).to_be_visible()
        person.photograph("personal_video_growing")
        page.get_by_role("button", name="Stop video").click()
        page.wait_for_timeout(1500)
        released.set()
        expect(page.get_by_test_id("toast-body").last).to_contain_text("Stopped at your request")
        expect(shown).to_have_count(0)
    page.get_by_role("button", name="Enlarge", exact=True).click()
    expect(told.get_by_role("status")).to_contain_text("Done: 2.0 s of 128 × 128")
    expect(page.locator("#personal-video-gallery .card")).to_have_count(1)


def test_a_video_is_handed_on_to_another_tool(person: Visitor) -> None:
    page = person.page
    describe(page, "biscuit hops")
    generate(page)
    offered = page.locator("#personal-video-hand-on").get_by_role("button")
    expect(offered).to_have_text(["Similar videos", "Quality score", "Lip-sync", "Music"])
    offered.get_by_text("Quality score").click()
    expect(page.get_by_role("button", name="Score", exact=True)).to_be_visible()
    expect(page.locator('a[download^="biscuit hops"]').locator("visible=true")).to_have_count(1)
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator("#video-quality-table")).to_contain_text("Done: 1 of 1 file scored.")
    expect(page.locator(".card.score")).to_contain_text("of 100")


def test_a_concept_is_looked_at_added_renamed_and_removed(person: Visitor, tmp_path: Path) -> None:
    page = person.page
    person.unfold("Add a concept")
    page.get_by_placeholder("biscuit", exact=True).fill("kiwi")
    person.choose("Pictures of it", saved(tmp_path, "kiwi.png", disc(GREEN)))
    page.get_by_role("button", name="Show what is cut out").click()
    added = page.locator("#personal-video-added")
    expect(added).to_contain_text("1 subject cut out")
    page.get_by_role("button", name="Add concept", exact=True).click()
    expect(added).to_contain_text("<kiwi> has 1 picture.")
    concepts = page.locator("#personal-video-concepts")
    expect(concepts.get_by_role("button", name="kiwi")).to_be_visible()
    person.photograph("personal_video_concepts")
    person.unfold("Rename, remove, export, import")
    page.get_by_label("Concept", exact=True).fill("kiwi")
    page.get_by_label("Concept", exact=True).press("Enter")
    page.get_by_label("New word").fill("lime")
    page.get_by_role("button", name="Rename concept").click()
    expect(concepts.get_by_role("button", name="lime")).to_be_visible()
    page.get_by_role("button", name="Export all concepts").click()
    download = page.get_by_role("button", name="Download the concepts")
    expect(download).to_be_enabled()
    with page.expect_download() as taken:
        download.click()
    assert taken.value.suggested_filename.endswith(".zip")
    page.get_by_label("Concept", exact=True).fill("lime")
    page.get_by_label("Concept", exact=True).press("Enter")
    page.get_by_role("button", name="Remove concept").click()
    expect(concepts.get_by_role("button", name="lime")).to_have_count(0)


@pytest.mark.parametrize(("name", "width"), [("phone", 390), ("laptop", 1280)])
def test_the_tab_fits_its_window_in_light_and_dark(browser: Browser, server: Server, name: str, width: int) -> None:
    person = Visitor(browser, f"{server.url}/?__theme=light", width, 900)
    page = person.page
    open_tab(person)
    describe(page, "biscuit hops")
    generate(page)
    for title in ("Add a concept", "Rename, remove, export, import", "Go on from a video of before"):
        person.unfold(title)
    for scheme in ("light", "dark"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{overflow} pixels wider than the window"
        person.photograph(f"personal_video_{name}_{scheme}")
    person.context.close()
