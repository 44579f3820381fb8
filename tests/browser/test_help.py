"""Help pages: they open in the editor's panel, and their pictures show."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosting.host import Host

from .waiting import ADD, until_still

IN_PANEL = ("CausVid_VideoToVideo", "CausVid_PromptSchedule", "CausVid_LoadMini")
PICTURE = re.compile(r"!\[(?P<says>[^\]]*)\]\((?P<address>[^)]+)\)")
TITLE_BAR = """() => {
    const [node] = app.graph._nodes;
    return app.canvasPosToClientPos([node.pos[0] + 90, node.pos[1] - 12]);
}"""
SHOWN = """title => {
    const pages = [...document.querySelectorAll("h1")].filter(h => h.textContent === title);
    const page = pages.at(-1)?.parentElement;
    if (!page) return null;
    return [...page.querySelectorAll("img")].map(i => ({
        address: i.getAttribute("src"), alt: i.alt, width: i.complete ? i.naturalWidth : 0,
    }));
}"""
WIDTH_OF = """async address => {
    const image = new Image();
    image.src = address;
    await image.decode();
    return image.naturalWidth;
}"""


@pytest.fixture
def closing(page) -> Iterator[None]:
    """Closes the panel again, which newer editors keep open on every page."""
    yield
    page.evaluate("""() => {
        const setting = app.extensionManager.setting, panel = "Comfy.RightSidePanel.IsOpen";
        return setting.get(panel) ? setting.set(panel, false) : null;
    }""")


@pytest.mark.usefixtures("closing")
@pytest.mark.parametrize("name", IN_PANEL)
def test_the_page_opens_in_the_panel_with_its_pictures(
    page, host: Host, artifacts: Path, name: str
) -> None:
    text = help_text(host, name)
    title = text.splitlines()[0].removeprefix("# ")
    page.evaluate(ADD, name)
    title_bar = page.evaluate(TITLE_BAR)
    until_still(page)
    page.mouse.click(*title_bar)
    page.click('[data-testid="info-button"]')
    page.wait_for_function(
        f"title => {{ const shown = ({SHOWN})(title); "
        "return shown?.length && shown.every(image => image.width > 0); }",
        arg=title,
    )
    until_still(page)
    page.screenshot(path=artifacts / f"help-{name}-{host.release}.png")
    shown = page.evaluate(SHOWN, title)
    assert [image["alt"] for image in shown] == [m["says"] for m in PICTURE.finditer(text)]
    assert all(f"/{host.pack.name}/docs/pictures/" in image["address"] for image in shown)
    # The editor asks for a page in its language first, which is not there.
    assert [error for error in page.own_errors if not error.endswith("/en.md")] == []


def test_every_page_has_pictures_that_load_and_none_lies_unused(page, host: Host) -> None:
    used = set()
    for name in (name for name in host.object_info if name.startswith("CausVid_")):
        pictures = list(PICTURE.finditer(help_text(host, name)))
        assert pictures, name
        for picture in pictures:
            address = f"/extensions/{host.pack.name}/docs/{picture['address']}"
            assert page.evaluate(WIDTH_OF, address) > 200, f"{name}: {address}"
            assert len(picture["says"]) > 10, f"{name}: {address} says nothing without a picture"
            used.add(picture["address"])
    there = (host.pack / "web/docs/pictures").iterdir()
    assert {f"pictures/{file.name}" for file in there} == used


def help_text(host: Host, name: str) -> str:
    status, body = host.client.get_bytes(f"/extensions/{host.pack.name}/docs/{name}.md")
    assert status == 200, name
    return body.decode()
