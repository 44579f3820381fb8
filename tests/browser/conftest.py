"""A page of ComfyUI in headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosting.browser import ARGUMENTS, LOADED, find_browser
from hosting.host import Host

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def browser():
    """A playwright Browser."""
    executable = find_browser()
    if executable is None:
        pytest.skip("No Chromium or Chrome was found; CAUSVID_CHROMIUM may name one.")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=str(executable), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser, host: Host):
    """A loaded editor with an empty memory. `page.own_errors` lists errors from this pack's code.

    Other errors are the host's: it asks for pages and sites that a closed machine does not have.
    """
    context = browser.new_context(viewport={"width": 1500, "height": 950})
    context.add_init_script("localStorage.setItem('vueNodesBannerDismissed', 'true')")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.own_errors = []

    def remember(text: str) -> None:
        if f"/extensions/{host.pack.name}/" in text:
            page.own_errors.append(text)

    page.on("pageerror", lambda error: remember(f"{error}\n{getattr(error, 'stack', '')}"))
    page.on(
        "console",
        lambda m: m.type == "error" and remember(f"{m.text} {(m.location or {}).get('url')}"),
    )
    page.goto(host.address, wait_until="domcontentloaded")
    page.wait_for_function(LOADED)
    yield page
    page.evaluate("app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    context.close()


@pytest.fixture
def artifacts() -> Iterator[Path]:
    """The folder where pictures are kept for a person to look at."""
    folder = ROOT / "artifacts"
    folder.mkdir(exist_ok=True)
    yield folder
