"""A prompt schedule in the editor, with the nodes around it, and hands to work its timeline."""

from typing import Any

from hosting.host import Host

from .waiting import until_still

NEAR = {"CausVid_LoadMini", "CausVid_PromptSchedule", "CausVid_TextToVideo"}
LOOK = """() => {
    const node = app.graph._nodes.find(n => n.type === "CausVid_PromptSchedule");
    Object.assign(app.canvas.ds, {scale: 1.2, offset: [150 - node.pos[0], 90 - node.pos[1]]});
    app.canvas.setDirty(true, true);
}"""
VALUES = """() => app.graph._nodes.filter(n => n.type === "CausVid_PromptSchedule").map(
    n => n.widgets.find(w => w.name === "text").value)"""
PUT = """text => {
    const node = app.graph._nodes.find(n => n.type === "CausVid_PromptSchedule");
    node.widgets.find(w => w.name === "text").value = text;
}"""
AT_REST = """async () => {
    const sizes = () => JSON.stringify(app.graph._nodes.map(n => [...n.size]));
    for (let seen = sizes(), quiet = 0; quiet < 20; quiet += 1) {
        await new Promise(requestAnimationFrame);
        if (sizes() !== seen) [seen, quiet] = [sizes(), 0];
    }
    app.canvas.emitBeforeChange();
    app.canvas.emitAfterChange();
}"""
SETTLED = """([left, top]) => {
    const box = document.querySelector(".cvt-lane").getBoundingClientRect();
    return box.left > left && box.top > top && box.width > 300;
}"""


class TimelinePage:
    """vue: with nodes of Vue instead of those on the canvas."""

    def __init__(self, page: Any, host: Host, text: str, vue: bool, seconds: float = 8.0) -> None:
        self.page, self.vue = page, vue
        self.saved = graph(host, text, seconds)
        enabled = str(vue).lower()
        page.evaluate(f"app.extensionManager.setting.set('Comfy.VueNodes.Enabled', {enabled})")
        page.evaluate("graph => app.loadGraphData(graph)", self.saved)
        page.wait_for_selector(".cvt-clip")
        page.evaluate(LOOK)
        page.wait_for_function(SETTLED, arg=[100, 100])
        page.evaluate(AT_REST)  # the editor has given nodes their sizes, and knows of it

    @property
    def text(self) -> str:
        """What the text widget holds."""
        return self.page.evaluate(VALUES)[0]

    @property
    def scenes(self) -> list[str]:
        """The prompts that the timeline shows."""
        return self.page.locator(".cvt-clip .cvt-prompt").all_inner_texts()

    @property
    def said(self) -> str:
        """What the timeline says instead of showing the text."""
        return self.page.locator(".cvt-problem").inner_text()

    @property
    def spoken(self) -> str:
        """What a screen reader was last told."""
        return self.page.locator(".cvt [role=status]").inner_text()

    @property
    def focused(self) -> str:
        """The name of what has the keyboard."""
        return self.page.evaluate("() => document.activeElement.getAttribute('aria-label') ?? ''")

    def scene(self, number: int) -> Any:
        return self.page.locator(f'[data-scene="{number}"]')

    def fade(self, number: int) -> Any:
        return self.page.locator(f'[data-fade="{number}"]')

    def put(self, text: str) -> None:
        """Give the text widget a value as other code does."""
        self.page.evaluate(PUT, text)

    def type(self, text: str) -> None:
        """Type into the text as a person does."""
        [area] = self.page.locator("textarea:visible").all()
        area.fill(text)

    def drag(self, element: Any, seconds: float, until: str = "") -> None:
        """Drag by seconds of the axis, in steps; `until` is a key pressed before letting go."""
        box, lane = element.bounding_box(), self.page.locator(".cvt-lane").bounding_box()
        whole = self.page.evaluate("() => Number(document.querySelector('.cvt-clip').ariaValueMax)")
        x, y = box["x"] + min(box["width"] / 2, 14), box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for step in range(1, 6):
            self.page.mouse.move(x + lane["width"] * seconds / whole * step / 5, y)
        if until:
            self.page.keyboard.press(until)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def undo(self, wanted: str, key: str = "Control+z", shown: bool = True) -> None:
        """Press undo and wait for a text; the editor makes every node anew.

        On a slow machine a node's size may settle late, which the editor takes for a step of its
        own: undoing that leaves the text as it is, and undo is pressed once more. shown: whether
        the timeline can show that text.
        """
        from playwright.sync_api import TimeoutError as NothingYet  # absent in the fast tier

        before = self.text
        self.press(key)
        changed = f"before => ({VALUES})()[0] !== before"
        try:
            self.page.wait_for_function(changed, arg=before, timeout=10_000)
        except NothingYet:
            self.press(key)
        self.page.wait_for_function(f"wanted => ({VALUES})()[0] === wanted", arg=wanted)
        if shown:
            self.page.wait_for_selector(".cvt-clip")
        until_still(self.page)


def graph(host: Host, text: str, seconds: float) -> dict[str, Any]:
    """The template's Mini, schedule and video, with a text and a length."""
    saved = host.workflow("prompt_travel")
    saved["nodes"] = [node for node in saved["nodes"] if node["type"] in NEAR]
    for node in saved["nodes"]:
        if node["type"] == "CausVid_PromptSchedule":
            node["widgets_values"][0] = text
        elif node["type"] == "CausVid_TextToVideo":
            node["widgets_values"][2] = seconds
    kept = {node["id"] for node in saved["nodes"]}
    saved["links"] = [link for link in saved["links"] if {link[1], link[3]} <= kept]
    links = {link[0] for link in saved["links"]}
    for node in saved["nodes"]:
        for slot in node["inputs"]:
            slot["link"] = slot["link"] if slot["link"] in links else None
        for slot in node["outputs"]:
            slot["links"] = [link for link in slot["links"] or () if link in links]
    return saved
