"""The timeline of a prompt schedule, worked by mouse: it and the text say the same."""

from pathlib import Path
from typing import Any

import pytest
from hosting.host import Host

from .timeline_page import TimelinePage
from .waiting import until_still

FILM = """\
# a story
0: a red circle
3 sec ~1,5s [recache]: a star # why

81f: 0.7 * a ring | 0.3 * a cross
0:07.5  [Flush]: a square
# end"""
LOOKS = pytest.mark.parametrize("vue", [False, True], ids=["classic", "nodes_2"])
QUEUE = """() => {
    window.seen = [];
    const api = window.comfyAPI.api.api;
    for (const type of ["execution_success", "execution_error"])
        api.addEventListener(type, () => window.seen.push(type));
    return app.queuePrompt(0, 1);
}"""
UNDO_STEPS = "app.extensionManager.workflow.activeWorkflow.changeTracker.undoQueue.length"
PALETTE = "name => app.extensionManager.setting.set('Comfy.ColorPalette', name)"
ENDED = "() => seen.length > 0"


@LOOKS
def test_drags_change_only_what_they_must_and_each_is_one_step_for_undo(
    page: Any, host: Host, artifacts: Path, vue: bool
) -> None:
    timeline = TimelinePage(page, host, FILM, vue)
    assert timeline.scenes == ["a red circle", "a star", "0.7 * a ring | 0.3 * a cross", "a square"]
    moved = FILM.replace("81f", "93f")
    timeline.drag(timeline.scene(2), 0.8)
    assert timeline.text == moved
    sooner = moved.replace("0:07.5", "0:06.6")
    timeline.drag(timeline.scene(3), -0.9)
    assert timeline.text == sooner
    shorter = sooner.replace("~1,5s", "~1,3s")
    timeline.drag(timeline.fade(1), -0.75)
    assert timeline.text == shorter
    faded = shorter.replace("0:06.6  [", "0:06.6 ~0.7s  [")
    timeline.drag(timeline.fade(3), 0.75)
    assert timeline.text == faded
    page.screenshot(path=artifacts / f"timeline-{host.release}-{'vue' if vue else 'classic'}.png")
    timeline.drag(timeline.scene(1), -0.8, until="Escape")
    assert timeline.text == faded
    timeline.drag(timeline.scene(1), -99)  # as far as its neighbour lets it
    assert timeline.text == faded.replace("3 sec", "0.6 sec")
    for wanted in (faded, shorter, sooner, moved, FILM):
        timeline.undo(wanted)
    assert page.locator(".cvt").count() == 1
    timeline.drag(timeline.scene(2), 0.8)  # the timeline of the node as undo made it anew
    assert timeline.text == moved
    assert page.own_errors == []


@LOOKS
def test_typing_is_shown_and_what_cannot_be_shown_is_said_and_left_alone(
    page: Any, host: Host, artifacts: Path, vue: bool
) -> None:
    timeline = TimelinePage(page, host, FILM, vue)
    timeline.type("0: a\n\n12b: b\n15b: c")
    assert timeline.scenes == ["a", "b", "c"]
    wrong = "0: a\n3x: b\n 9s: c  # kept"
    timeline.type(wrong)
    assert "Line 2, column 2" in timeline.said and "x" in timeline.said
    assert page.locator(".cvt-lane").is_hidden()
    for button in page.locator(".cvt-button").all():
        assert button.is_disabled()
    page.screenshot(
        path=artifacts / f"timeline-wrong-{host.release}-{'vue' if vue else 'classic'}.png"
    )
    for text, place in (("0: a\n0s: b", "Line 2"), ("", "Line 1"), ("9b: a\n1s: b", "Line 2")):
        timeline.put(text)
        assert place in timeline.said and timeline.text == text
    timeline.put("a prompt\nover two lines")
    assert timeline.scenes == ["a prompt over two lines"]
    timeline.scene(0).focus()
    timeline.press("a", "Shift+ArrowRight", "ArrowRight")
    assert "several lines" in timeline.spoken
    assert timeline.text == "a prompt\nover two lines"
    timeline.put(FILM)
    assert len(timeline.scenes) == 4 and page.own_errors == []


@LOOKS
def test_schedules_of_other_tools_are_converted_by_a_press(
    page: Any, host: Host, artifacts: Path, vue: bool
) -> None:
    timeline = TimelinePage(page, host, FILM, vue)
    offer = page.locator(".cvt-offer")
    assert offer.is_hidden()
    typed = '{"0": "a red circle",\n "48": "a blue square | ring"}'
    timeline.type(typed)
    assert "FizzNodes, Deforum" in timeline.said
    page.screenshot(path=artifacts / f"timeline-offer-{host.release}-{vue}.png")
    offer.click()
    assert timeline.text == "0f: a red circle\n48f: a blue square \\| ring"
    assert timeline.scenes == ["a red circle", "a blue square \\| ring"] and offer.is_hidden()
    timeline.undo(typed, shown=False)
    timeline.put("[0-3s] a\n[3-6s] b\nand c")
    assert "Line 3" in timeline.said and offer.is_hidden()
    timeline.put("a star | a ring")
    assert len(timeline.scenes) == 1 and "mix" in offer.inner_text()
    offer.click()
    assert timeline.text == "0s: a star\n5s: a ring" and offer.is_hidden()
    assert page.own_errors == []


@LOOKS
def test_a_double_click_adds_a_scene_or_edits_one(page: Any, host: Host, vue: bool) -> None:
    timeline = TimelinePage(page, host, "0: a red circle", vue)
    lane, ruler = (page.locator(f".cvt-{part}").bounding_box() for part in ("lane", "ruler"))
    page.mouse.dblclick(lane["x"] + lane["width"] * 0.5, ruler["y"] + ruler["height"] / 2)
    page.keyboard.type("a blue star")
    page.keyboard.press("Tab")
    assert timeline.scenes == ["a red circle", "a blue star"]
    scene = timeline.scene(0).bounding_box()
    page.mouse.dblclick(scene["x"] + 14, scene["y"] + scene["height"] / 2)
    page.keyboard.press("Control+a")
    page.keyboard.type("a green ring")
    page.keyboard.press("Tab")
    assert timeline.scenes == ["a green ring", "a blue star"]
    assert page.own_errors == []


@LOOKS
def test_scenes_are_added_changed_removed_and_made(page: Any, host: Host, vue: bool) -> None:
    timeline = TimelinePage(page, host, "0: a red circle\n1.5s: a blue star", vue, seconds=3.0)
    timeline.scene(1).click()
    page.click('[data-button="add"]')
    assert timeline.text == "0: a red circle\n1.5s: a blue star\n2.1s: a blue star"
    page.keyboard.type("a green ring # 1 | a cross")
    page.fill(".cvt-type-fade", "6f")
    page.select_option(".cvt-select", "recache")
    added = "0: a red circle\n1.5s: a blue star\n2.1s ~6f [recache]: a green ring \\# 1 | a cross"
    page.keyboard.press("Tab")
    assert timeline.text == added
    page.fill(".cvt-type-prompt", "")
    assert timeline.text == added and page.locator("[aria-invalid]").count() == 1
    page.fill(".cvt-type-prompt", "a ring")
    page.fill(".cvt-type-start", "1s")
    page.keyboard.press("Enter")
    assert "earlier than the scene in line 2" in timeline.spoken
    assert page.input_value(".cvt-type-start") == "2.1s"
    timeline.scene(1).click()
    page.click('[data-button="remove"]')
    left = "0: a red circle\n2.1s ~6f [recache]: a ring"
    assert timeline.text == left
    assert len(page.evaluate("app.graph.serialize()")["nodes"]) == 3
    keep = page.evaluate("() => app.graph._nodes.map(n => n.id)")
    assert keep and page.own_errors == []
    show_result(page)
    page.evaluate(QUEUE)
    page.wait_for_function(ENDED, timeout=120_000)
    assert page.evaluate("seen") == ["execution_success"]
    queued = page.evaluate("() => app.graphToPrompt()")["output"]
    [inputs] = [n["inputs"] for n in queued.values() if n["class_type"] == "CausVid_PromptSchedule"]
    assert inputs["text"] == left
    names = {"clip", "text", "mode", "transition", "interpolation", "scene_seconds"}
    assert set(inputs) == names


@LOOKS
def test_looking_around_changes_nothing(page: Any, host: Host, artifacts: Path, vue: bool) -> None:
    timeline = TimelinePage(page, host, FILM, vue)
    steps = page.evaluate(UNDO_STEPS)
    whole = timeline.scene(1).bounding_box()
    page.mouse.move(whole["x"] + 20, whole["y"] + 20)
    page.mouse.wheel(0, -400)
    until_still(page)  # the canvas zooms: nobody works in the timeline yet
    zoomed = timeline.scene(1).bounding_box()
    assert zoomed["height"] > 1.05 * whole["height"] and page.locator(".cvt-whole").count() == 1
    timeline.scene(1).focus()
    page.mouse.move(zoomed["x"] + 20, zoomed["y"] + 20)
    page.mouse.wheel(0, -400)
    page.wait_for_function("() => !document.querySelector('.cvt-whole')")
    closer = timeline.scene(1).bounding_box()
    assert closer["width"] > 2 * zoomed["width"] and closer["height"] == zoomed["height"]
    ruler = page.locator(".cvt-ruler").bounding_box()
    page.mouse.move(ruler["x"] + 200, ruler["y"] + 5)
    page.mouse.down()
    page.mouse.move(ruler["x"] + 160, ruler["y"] + 5, steps=3)
    page.mouse.up()
    assert abs(timeline.scene(1).bounding_box()["x"] - closer["x"] + 40) < 2
    page.click('[data-button="fit"]')
    assert page.locator(".cvt-whole").count() == 1
    labels = []
    for _ in range(3):
        labels.append(page.locator(".cvt-tick").nth(1).inner_text())
        page.click('[data-button="unit"]')
    assert labels[0].endswith(" s") and len(set(labels)) == 3
    page.click('[data-button="snap"]')
    timeline.drag(timeline.scene(1), 0.3, until="Escape")
    assert timeline.text == FILM and page.evaluate(UNDO_STEPS) == steps
    page.evaluate(PALETTE, "light")
    until_still(page)
    look = "vue" if vue else "classic"
    page.screenshot(path=artifacts / f"timeline-light-{host.release}-{look}.png")
    page.evaluate(PALETTE, "dark")
    assert page.own_errors == []


def show_result(page: Any) -> None:
    """Connect a node whose output the server must make."""
    page.evaluate("""() => {
        const graph = app.graph;
        const video = graph._nodes.find(n => n.type === "CausVid_TextToVideo");
        const shown = LiteGraph.createNode("PreviewAny");
        graph.add(shown);
        video.connect(1, shown, 0);
    }""")
