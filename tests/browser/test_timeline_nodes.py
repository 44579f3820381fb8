"""The timeline by keyboard and for screen readers, and on nodes copied, linked and saved."""

from typing import Any

import pytest
from hosting.host import Host

from .timeline_page import TimelinePage
from .waiting import until_still

FILM = "0: a red circle\n3s: a blue star # why\n6s ~1s [cut]: a ring"
LOOKS = pytest.mark.parametrize("vue", [False, True], ids=["classic", "nodes_2"])
SCHEDULES = "app.graph._nodes.filter(n => n.type === 'CausVid_PromptSchedule')"
COPY = f"""() => {{
    const [node] = {SCHEDULES};
    app.canvas.selectItems([node]);
    app.canvas.copyToClipboard();
    app.canvas.pasteFromClipboard();
    const [first, second] = {SCHEDULES};
    second.pos = [first.pos[0], first.pos[1] + first.size[1] + 60];
    app.canvas.setDirty(true, true);
}}"""
COLLAPSE = f"() => {{ {SCHEDULES}[0].collapse(); app.canvas.setDirty(true, true); }}"
LINK = f"""() => {{
    const [node] = {SCHEDULES};
    const source = LiteGraph.createNode("PrimitiveStringMultiline");
    app.graph.add(source);
    source.pos = [node.pos[0] - 600, node.pos[1] + 400];
    source.connect(0, node, node.inputs.findIndex(i => i.name === "text"));
}}"""
UNLINK = f"""() => {{
    const [node] = {SCHEDULES};
    node.disconnectInput(node.inputs.findIndex(i => i.name === "text"));
}}"""
SECONDS = """seconds => {
    const video = app.graph._nodes.find(n => n.type === "CausVid_TextToVideo");
    video.widgets.find(w => w.name === "seconds").value = seconds;
    app.canvas.emitBeforeChange();
    app.canvas.emitAfterChange();
}"""
SUBGRAPH = f"""() => {{
    const [node] = {SCHEDULES};
    const {{node: outer}} = app.graph.convertToSubgraph(new Set([node]));
    app.canvas.openSubgraph(outer.subgraph, outer);
    const [inner] = outer.subgraph._nodes.filter(n => n.type === "CausVid_PromptSchedule");
    Object.assign(app.canvas.ds, {{scale: 1.2, offset: [150 - inner.pos[0], 90 - inner.pos[1]]}});
    app.canvas.setDirty(true, true);
}}"""
INNER = """() => [...app.graph.subgraphs.values()][0]._nodes
    .find(n => n.type === "CausVid_PromptSchedule").widgets[0].value"""


@LOOKS
def test_the_keyboard_does_everything_and_is_told_of_it(page: Any, host: Host, vue: bool) -> None:
    timeline = TimelinePage(page, host, FILM, vue)
    timeline.scene(0).focus()
    page.keyboard.press("Tab")
    assert timeline.focused == "Scene 2 of 3: a blue star"
    timeline.press("ArrowRight")
    assert timeline.text == FILM.replace("3s", "3.6s")
    timeline.press("Shift+ArrowLeft", "Alt+ArrowRight")
    assert timeline.text == FILM.replace("3s", "2.66s")
    timeline.press("ArrowUp")
    assert timeline.text == FILM.replace("3s", "2.66s ~0.1s")
    assert (
        timeline.scene(1).get_attribute("aria-valuetext").endswith("fades in over 1 block, recache")
    )
    page.keyboard.press("PageDown")
    assert timeline.focused == "Scene 3 of 3: a ring"
    timeline.press("ArrowUp")
    assert timeline.spoken == "A cut has no fade."
    timeline.press("Delete")
    assert timeline.text == "0: a red circle\n2.66s ~0.1s: a blue star # why"
    assert timeline.spoken == "Scene 3 removed" and timeline.focused.startswith("Scene 2 of 2")
    timeline.press("Home", "a")
    assert timeline.focused == "Prompt of scene 2" and timeline.spoken.startswith("Scene added at")
    page.keyboard.type("a cross")
    timeline.press("Enter")
    film = "0: a red circle\n0.6s: a cross\n2.66s ~0.1s: a blue star # why"
    assert timeline.text == film and timeline.focused == "Scene 2 of 3: a cross"
    timeline.undo(film.replace("a cross", "a red circle"))
    assert timeline.focused == "Scene 2 of 3: a red circle"
    timeline.undo("0: a red circle\n2.66s ~0.1s: a blue star # why")
    timeline.press("Enter")
    assert timeline.focused == "Prompt of scene 2"
    timeline.press("End", "x", "Escape")
    assert timeline.text == "0: a red circle\n2.66s ~0.1s: a blue star # why"
    timeline.press("Delete", "Delete")
    assert timeline.text == "0: a red circle"
    assert timeline.spoken == "A schedule needs at least one scene."
    assert len(page.evaluate("app.graph._nodes")) == 3  # Delete did not reach the canvas
    tree = page.locator(".cvt").aria_snapshot()
    for name in (
        'group "Prompt timeline"',
        'toolbar "Timeline tools"',
        'button "Add a scene (A)"',
        'slider "Scene 1 of 1: a red circle"',
        'textbox "Prompt of scene 1"',
        'textbox "Time of scene 1"',
        "combobox",
    ):
        assert name in tree, tree
    assert page.own_errors == []


@LOOKS
def test_every_node_has_its_own_and_none_is_saved(page: Any, host: Host, vue: bool) -> None:
    timeline = TimelinePage(page, host, FILM, vue)
    [saved] = [n for n in timeline.saved["nodes"] if n["type"] == "CausVid_PromptSchedule"]
    assert page.evaluate(f"{SCHEDULES}[0].serialize().widgets_values") == saved["widgets_values"]
    page.evaluate(COPY)
    page.wait_for_function("() => document.querySelectorAll('.cvt').length === 2")
    until_still(page)
    second = page.locator(".cvt").nth(1)
    second.locator('[data-scene="1"]').focus()
    page.keyboard.press("ArrowRight")
    texts = page.evaluate(f"{SCHEDULES}.map(n => n.widgets[0].value)")
    assert texts == [FILM, FILM.replace("3s", "3.6s")]
    page.evaluate(f"() => app.graph.remove({SCHEDULES}[1])")
    page.evaluate(COLLAPSE)
    page.wait_for_function("() => !document.querySelector('.cvt')?.checkVisibility()")
    page.evaluate(COLLAPSE)
    page.wait_for_function("() => document.querySelector('.cvt')?.checkVisibility()")
    until_still(page)
    timeline.drag(timeline.scene(1), 0.8)
    assert timeline.text == FILM.replace("3s", "3.6s")
    shown = "() => document.querySelector('.cvt-clip').ariaValueMax"
    page.evaluate(SECONDS, 20.0)
    page.wait_for_function(f"({shown})() === '20.8'")
    page.evaluate(LINK)
    page.wait_for_function("() => document.querySelector('.cvt-problem').textContent.length > 0")
    assert "another node" in timeline.said and page.locator(".cvt-lane").is_hidden()
    page.evaluate(UNLINK)
    page.wait_for_function("() => document.querySelector('.cvt-problem').hidden")
    assert len(timeline.scenes) == 3 and timeline.text == FILM.replace("3s", "3.6s")
    page.evaluate(SUBGRAPH)
    page.wait_for_function("() => document.querySelector('.cvt')?.checkVisibility()")
    until_still(page)
    page.locator('.cvt:visible [data-scene="1"]').focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(INNER) == FILM.replace("3s", "4.4s")
    assert page.own_errors == []
