"""A node on an empty page, and waiting for what a page does by itself instead of for a time."""

from typing import Any

STILL = """async () => {
    const DRAWN = ".dom-widget, [data-node-id], .cvt, .causvid-holder, video, img";
    const look = () => JSON.stringify([
        app.canvas.ds.scale, [...app.canvas.ds.offset],
        ...[...document.querySelectorAll(DRAWN)].map(
            element => Object.values(element.getBoundingClientRect().toJSON())),
    ]);
    for (let last = "", same = 0; same < 8;) {
        await new Promise(requestAnimationFrame);
        const now = look();
        same = now === last ? same + 1 : 0;
        last = now;
    }
}"""

ADD = """name => {
    app.graph.clear();
    const node = window.LiteGraph.createNode(name);
    node.pos = [420, 200];
    app.graph.add(node);
    app.canvas.ds.offset = [0, 0];
    app.canvas.setDirty(true, true);
}"""

DRAFT = """kind => [localStorage, sessionStorage].some(
    storage => Object.values(storage).some(text => text.includes(kind)))"""


def until_still(page: Any) -> None:
    """Until neither the canvas nor anything drawn over it has moved for eight frames."""
    page.evaluate(STILL)


def until_draft(page: Any, kind: str) -> None:
    """Until the editor has stored a draft of a workflow with a node of this type."""
    page.wait_for_function(DRAFT, arg=kind)
