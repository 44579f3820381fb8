"""The live player on its node, in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosting.browser import LOADED
from hosting.host import Host

from .player_page import (
    KIND,
    PLAYER,
    end_of_run,
    open_workflow,
    shown,
    slow_workflow,
    wait_for_player,
)
from .waiting import until_draft, until_still

LONG = 4000  # px frames: more than a test needs
SERIALISED = f"""() => {{
    const saved = app.graph.serialize();
    return {{nodes: saved.nodes.map(({{order, ...node}}) => node), links: saved.links,
             copied: app.graph._nodes.find(n => n.type === '{KIND}').clone().serialize().size}};
}}"""
SETTING = "value => app.extensionManager.setting.set('CausVid.LiveFrames', value)"
BOTH = pytest.mark.parametrize("vue_nodes", [False, True], ids=["classic", "nodes_2"])


@pytest.fixture(autouse=True)
def nothing_runs_on(host: Host) -> Iterator[None]:
    """A test that fails leaves no run behind for the next one to wait for."""
    yield
    host.client.post("/queue", {"clear": True})
    host.client.interrupt()


@BOTH
def test_frames_play_and_are_scrubbed_while_the_run_goes_on(
    page: Any, host: Host, artifacts: Path, vue_nodes: bool
) -> None:
    open_workflow(page, slow_workflow(host, LONG), vue_nodes)
    page.evaluate("app.queuePrompt(0, 1)")
    first = wait_for_player(page)
    # Far enough that the jumps below stay within what there is, however slow the run.
    later = wait_for_player(page, f"p.position > {first['position'] + 40}")
    assert later["state"] == "running", "nothing played before the run's end"
    assert later["mark"] != first["mark"], "the picture stood still"
    assert first["first"] == 0 and LONG <= first["last"] < LONG + 12  # to whole blocks
    assert "blocks" in later["text"] and "fps" in later["text"]
    look = "nodes_2" if vue_nodes else "classic"
    page.screenshot(path=artifacts / f"player-{host.release}-{look}-running.png")
    canvas, box = later["canvas"], later["box"]
    assert abs(canvas["width"] / canvas["height"] - 1) < 0.1, "bands beside the picture"
    assert canvas["width"] > 0.8 * box["width"]

    page.locator(f"{PLAYER} input").focus()
    page.keyboard.press("Space")
    wait_for_player(page, "p.position > 0")
    page.locator(f"{PLAYER} input").fill("7")
    at_7 = wait_for_player(page, "p.position === 7 && p.following === 'false'")
    assert at_7["spoken"].startswith("0.4 of ") and at_7["state"] == "running"
    page.locator(f"{PLAYER} .causvid-play").focus()
    page.keyboard.press("ArrowRight")
    wait_for_player(page, "p.position === 8")
    page.keyboard.press("Shift+ArrowRight")
    wait_for_player(page, "p.position === 24")
    page.keyboard.press("Home")
    wait_for_player(page, "p.position === 0")
    page.keyboard.press("End")
    wait_for_player(page, "p.following === 'true' && p.position > 24")
    end_of_run(page)
    assert "stopped" in page.locator(f"{PLAYER} .causvid-stats").get_attribute("title")
    page.locator(f"{PLAYER} .causvid-loop").click()
    assert page.locator(f"{PLAYER} .causvid-loop").get_attribute("aria-pressed") == "false"
    page.screenshot(path=artifacts / f"player-{host.release}-{look}-stopped.png")
    assert page.own_errors == []


@BOTH
def test_it_leaves_no_trace_in_the_workflow(page: Any, host: Host, vue_nodes: bool) -> None:
    workflow = slow_workflow(host, 45)
    open_workflow(page, workflow, vue_nodes)
    before = page.evaluate(SERIALISED)
    page.evaluate("app.queuePrompt(0, 1)")
    wait_for_player(page, "p.state === 'done'")
    until_still(page)
    after = page.evaluate(SERIALISED)
    for saved in (before, after):
        del node_of(saved)["widgets_values"][11:]  # older editors save their line of progress there
    # The editor's own preview makes the node higher; a player would by 300 px more.
    heights = [(saved["copied"].pop(), node_of(saved)["size"].pop()) for saved in (before, after)]
    if vue_nodes:  # they measure themselves again and again
        for each in (node for saved in (before, after) for node in saved["nodes"]):
            del each["pos"], each["size"]
    else:
        assert all(now - then < 150 for then, now in zip(*heights, strict=True))
    assert after == before
    assert node_of(after)["widgets_values"] == workflow["nodes"][2]["widgets_values"]
    assert "causvid_live" not in str(after)
    prompt = page.evaluate("app.graphToPrompt().then(p => p.output['3'].inputs)")
    assert "causvid_live" not in prompt

    page.evaluate(SETTING, False)
    page.wait_for_function(f"() => !document.querySelector('{PLAYER}')")
    page.evaluate(SETTING, True)
    wait_for_player(page)

    # Another workflow and back again: the stream is still there.
    page.evaluate("graph => app.loadGraphData(graph)", {"nodes": [], "links": [], "version": 0.4})
    page.wait_for_function(f"() => !document.querySelector('{PLAYER}')?.getClientRects().length")
    page.evaluate("graph => app.loadGraphData(graph)", workflow)
    assert wait_for_player(page)["state"] == "done"
    page.evaluate(f"app.graph.remove(app.graph._nodes.find(n => n.type === '{KIND}'))")
    page.wait_for_function(f"() => !document.querySelector('{PLAYER}')")
    assert page.own_errors == []


def node_of(saved: dict[str, Any]) -> dict[str, Any]:
    """The node with the player in a serialised graph."""
    return next(node for node in saved["nodes"] if node["type"] == KIND)


def test_only_the_tab_that_queued_sees_frames(page: Any, host: Host) -> None:
    workflow = slow_workflow(host, 200)
    open_workflow(page, workflow)
    other = page.context.new_page()
    other.goto(host.address, wait_until="domcontentloaded")
    other.wait_for_function(LOADED)
    open_workflow(other, workflow)
    page.bring_to_front()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))
    page.evaluate("app.queuePrompt(0, 1)")
    wait_for_player(page, "p.state === 'done'")
    assert shown(other) is None
    mine, theirs = (
        json.loads(each.evaluate("sessionStorage.getItem('causvid.page')"))
        for each in (page, other)
    )
    assert mine["secret"] != theirs["secret"]
    assert any("/causvid/live?" in request for request in sent)
    assert any(mine["lock"] in request for request in sent), "the prompt carries no lock"
    assert not any(mine["secret"] in request for request in sent), "addresses tell the secret"
    assert mine["secret"] not in json.dumps(page.evaluate("app.graph.serialize()"))
    assert mine["secret"] not in json.dumps(host.client.get("/history")) + host.log()
    assert page.own_errors == []


def test_a_reload_in_the_middle_recovers(page: Any, host: Host) -> None:
    open_workflow(page, slow_workflow(host, LONG))
    page.evaluate("app.queuePrompt(0, 1)")
    before = wait_for_player(page, "p.position > 20")
    until_draft(page, "CausVid_TextToVideo")
    page.reload(wait_until="domcontentloaded")
    page.wait_for_function(LOADED)
    after = wait_for_player(page)
    assert after["state"] == "running", "the run was over too soon"
    assert float(after["reached"].rstrip("%")) >= float(before["reached"].rstrip("%"))
    page.locator(f"{PLAYER} input").fill("3")
    wait_for_player(page, "p.position >= 3 && p.position < 40")
    growing = float(shown(page)["reached"].rstrip("%"))
    wait_for_player(page, f"parseFloat(p.reached) > {growing + 1}")
    end_of_run(page)
    assert page.own_errors == []
