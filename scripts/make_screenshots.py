"""Takes the pictures of the editor for README.md and the help pages, in a headless browser.

    .causvid/venv/bin/python scripts/make_screenshots.py            # all of them
    .causvid/venv/bin/python scripts/make_screenshots.py timeline   # one

Run it when nodes or widgets of the pack look different. `python scripts/test.py` makes the
environment that it needs (CAUSVID_HOME, if it is not .causvid) and installs the browser.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from hosting import command
from hosting.browser import ARGUMENTS, LOADED, find_browser
from hosting.environment import ROOT
from hosting.graph import Workflow
from hosting.host import Host, temporary_host
from hosting.pins import NEWEST
from make_templates import encoded
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from templating.chosen import parse_names
from templating.graph import LEFT, TOP
from templating.story import Story

HELP = ROOT / "web" / "docs" / "pictures"
VIEW = {"width": 1800, "height": 1250}
FRAME = """([kinds, margin, scale]) => {
    const nodes = app.graph._nodes.filter(n => !kinds.length || kinds.includes(n.type));
    const left = Math.min(...nodes.map(n => n.pos[0])), top = Math.min(...nodes.map(n => n.pos[1]));
    const right = Math.max(...nodes.map(n => n.pos[0] + n.size[0]));
    const bottom = Math.max(...nodes.map(n => n.pos[1] + n.size[1]));
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [120 / scale - left, 190 / scale - top];
    app.canvas.setDirty(true, true);
    return { x: 120 - margin, y: 190 - 30 * scale - margin, width: (right - left) * scale
        + 2 * margin, height: (bottom - top + 30) * scale + 2 * margin };
}"""
STACK = """kinds => {
    app.graph._nodes.filter(node => !kinds.includes(node.type)).forEach(n => app.graph.remove(n));
    let top = 0;
    for (const kind of kinds) {
        const node = app.graph._nodes.find(node => node.type === kind);
        node.pos = [0, top];
        node.setSize([400, node.computeSize()[1]]);
        top += node.size[1] + 60;
    }
}"""
ENDED = "() => ended"
WATCH = """() => {
    window.ended = false;
    window.comfyAPI.api.api.addEventListener("execution_success", () => { window.ended = true; });
}"""
PLAYING = "() => [...document.querySelectorAll('video')].some(v => v.videoWidth > 0)"


class Editor:
    """A page of the editor and the server behind it."""

    def __init__(self, host: Host, page: Page) -> None:
        self.host, self.page = host, page

    def open(self, workflow: Workflow) -> None:
        self.page.evaluate("graph => app.loadGraphData(graph)", workflow)
        self.page.wait_for_timeout(1000)

    def story(self, name: str) -> Story:
        return Story(self.host.object_info, name)

    def run(self) -> None:
        """Press Run."""
        self.page.evaluate(WATCH)
        self.page.click('[data-testid="queue-button"]')

    def wait(self) -> None:
        """Wait until the run has succeeded."""
        self.page.wait_for_function(ENDED, timeout=600_000)

    def shot(self, *kinds: str, scale: float = 0.8) -> Image.Image:
        """The nodes of these types, or all, as the canvas shows them."""
        clip = self.page.evaluate(FRAME, [list(kinds), 16, scale])
        self.page.mouse.move(VIEW["width"] / 2, VIEW["height"] - 20)
        self.page.wait_for_timeout(1200)  # widgets follow the canvas
        return self.clipped(clip)

    def element(self, selector: str) -> Image.Image:
        """An element of the page, with a margin."""
        box = self.page.locator(selector).bounding_box()
        around = {"x": box["x"] - 8, "y": box["y"] - 8}
        return self.clipped(around | {n: box[n] + 16 for n in ("width", "height")})

    def clipped(self, clip: dict[str, float]) -> Image.Image:
        """A part of the page."""
        return Image.open(io.BytesIO(self.page.screenshot(clip=clip))).convert("RGB")


def editor(editor: Editor) -> Image.Image:
    """The first template after its run."""
    editor.open(editor.host.workflow("text_to_video_mini"))
    editor.run()
    editor.wait()
    editor.page.wait_for_function(PLAYING)
    return editor.shot(scale=0.62)


def player(editor: Editor) -> Image.Image:
    """Render to Video at work, with the frames that it decodes for the file."""
    story = editor.story("player")
    prompt = story.prompt("Prompt", "a large yellow star growing over a teal gradient background")
    shot = story.shot("", prompt, "CausVid_RenderToVideo", minutes=0.5, seed=3)
    story.place(LEFT, TOP, [story.mini, prompt], [shot])
    editor.open(story.workflow())
    editor.run()
    editor.page.wait_for_selector('[aria-label="Live preview"]', timeout=120_000)
    editor.page.wait_for_timeout(4000)
    editor.shot("CausVid_RenderToVideo", scale=0.8)  # brings it into view
    picture = editor.element('[aria-label="Live preview"]')
    editor.page.evaluate("window.comfyAPI.api.api.interrupt()")
    return picture


def timeline(editor: Editor) -> Image.Image:
    """Prompt Schedule with scenes, fades and a cut."""
    story = editor.story("timeline")
    text = (
        "0: a large red circle moving right over a navy gradient background\n"
        "4s ~1s: a large yellow circle moving right over a navy gradient background\n"
        "9s ~2s [recache]: a large yellow star turning over a teal gradient background\n"
        "14s [cut]: 0.7 * a white ring growing | 0.3 * a white star growing  # a new scene"
    )
    schedule = story.node(
        "CausVid_PromptSchedule", wide=460, high=430, clip=story.mini["CLIP"], text=text
    )
    story.place(LEFT, TOP, [story.mini], [schedule])
    editor.open(story.workflow())
    return editor.shot("CausVid_PromptSchedule", scale=1.0)


def load_checkpoint(editor: Editor) -> Image.Image:
    """The loaders of real weights, in a column."""
    workflow = editor.host.workflow("text_to_video_wan_1_3B")
    with editor.host.placeholder_models(workflow):
        editor.page.evaluate("app.refreshComboInNodes()")
        editor.open(workflow)
        kinds = ("CausVid_LoadCheckpoint", "CLIPLoader", "VAELoader")
        editor.page.evaluate(STACK, kinds)
        return editor.shot(*kinds, scale=1.0)


def download_checkpoint(editor: Editor) -> Image.Image:
    """The node with its list open."""
    story = editor.story("download")
    node = story.node("CausVid_DownloadCheckpoint", wide=420)
    story.place(LEFT, TOP, [node])
    workflow = story.workflow()
    workflow["nodes"] = [n for n in workflow["nodes"] if n["type"] != "CausVid_LoadMini"]
    editor.open(workflow)
    editor.shot(scale=1.0)
    place = editor.page.evaluate("""() => {
        const node = app.graph._nodes[0], y = node.widgets[0].last_y ?? 30;
        return app.canvasPosToClientPos([node.pos[0] + 210, node.pos[1] + y + 10]);
    }""")
    editor.page.mouse.click(*place)
    menu = editor.page.locator(".litecontextmenu").last
    menu.wait_for()
    box = menu.bounding_box()
    bottom = min(VIEW["height"], box["y"] + box["height"])
    clip = {"x": 104, "y": 144, "width": 460, "height": bottom - 144 + 10}
    return editor.clipped(clip)


SHOTS: MappingProxyType[str, tuple[Callable[[Editor], Image.Image], Path]] = MappingProxyType(
    {
        "editor": (editor, ROOT / "docs"),
        "player": (player, HELP),
        "timeline": (timeline, HELP),
        "load_checkpoint": (load_checkpoint, HELP),
        "download_checkpoint": (download_checkpoint, HELP),
    }
)


def main() -> int:
    names = parse_arguments().names or list(SHOTS)
    browser = find_browser()
    if browser is None:
        raise SystemExit("No Chromium or Chrome was found; CAUSVID_CHROMIUM may name one.")
    with temporary_host(NEWEST) as host, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(browser), args=ARGUMENTS)
        for name in names:
            page = chromium.new_page(viewport=VIEW)
            page.goto(host.address, wait_until="domcontentloaded")
            page.wait_for_function(LOADED, timeout=120_000)
            take, target = SHOTS[name]
            data = encoded(take(Editor(host, page)))
            (target / f"{name}.jpg").write_bytes(data)
            print(f"{name}: {len(data) / 1000:.0f} kB", flush=True)
            page.close()
        chromium.close()
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Take pictures of the editor.")
    return parse_names(parser, SHOTS, "picture")


if __name__ == "__main__":
    command.run(main)
