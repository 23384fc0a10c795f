"""A person with a browser, for the tests that use the app as people do; screenshots go to tests/screenshots."""

import re
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--mute-audio"]  # fmt: skip


class Visitor:
    """One person with a browser window of their own; every host that the page asks is noted."""

    def __init__(self, browser: Browser, url: str, width: int = 1366, height: int = 900) -> None:
        self.context: BrowserContext = browser.new_context(viewport={"width": width, "height": height})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.hosts: set[str] = set()
        self.page.on("request", lambda request: self.hosts.add(re.sub(r"^\w+:(//)?([^/:]*).*", r"\2", request.url)))
        self.page.goto(url)
        expect(self.page.get_by_role("button", name="Add to library")).to_be_visible()

    def choose(self, label: str, *paths: Path) -> None:
        """Upload files, and wait until the server has them all: only then does their zone offer them as links."""
        zone = self.page.locator(".block", has_text=label).last
        zone.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
        for path in paths:
            expect(zone.locator(f'a[download="{path.name}"]')).to_be_visible()

    def add(self, *paths: Path) -> None:
        self.choose("Videos to add", *paths)
        self.page.get_by_role("button", name="Add to library").click()

    def find(self, path: Path) -> None:
        self.choose("Video to compare with", path)
        self.page.get_by_role("button", name="Find similar", exact=True).click()

    def unfold(self, title: str) -> None:
        self.page.get_by_role("button", name=title).click()

    def photograph(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)

    def open_tab(self, name: str) -> None:
        """Open a tab, which a narrow window hides in a menu."""
        tab, menu = self.page.get_by_role("tab", name=name), self.page.locator(".overflow-menu")
        expect(tab.or_(menu.locator("> button")).first).to_be_visible()
        if not tab.is_visible():
            menu.locator("> button").click()
            menu.locator(".overflow-dropdown").get_by_text(name).click()
            return
        for patience_ms in (3000, 30_000):  # a page under load shows its tabs before it hears clicks
            tab.click()
            with suppress(AssertionError):
                expect(tab).to_have_attribute("aria-selected", "true", timeout=patience_ms)
                return
