"""What an artist does first: pick the template, press Run, watch the video."""

import json
from pathlib import Path

import pytest
from hosting.host import Host
from hosting.pack import PACK_NAME

from .waiting import until_still

TEMPLATE = "text_to_video_mini"
WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
OPENED = """() => ({...app.graph.serialize(), wrong: app.graph._nodes.filter(
    n => n.has_errors || !window.LiteGraph.registered_node_types[n.type]).map(n => n.type)})"""
WATCH = """() => {
    window.seen = [];
    const api = window.comfyAPI.api.api;
    for (const type of ["execution_success", "execution_error", "b_preview_with_metadata"])
        api.addEventListener(type, () => window.seen.push(type));
}"""
ENDED = "() => seen.includes('execution_success') || seen.includes('execution_error')"
VIDEOS = """() => [...document.querySelectorAll("video")].map(
    v => ({width: v.videoWidth, seconds: v.duration, source: v.src}))"""
PLAYABLE = "() => [...document.querySelectorAll('video')].some(v => v.videoWidth > 0)"


@pytest.mark.parametrize("vue_nodes", [False, True], ids=["classic", "nodes_2"])
def test_the_template_opens_and_run_gives_a_video(
    page, host: Host, artifacts: Path, vue_nodes: bool
) -> None:
    enabled = str(vue_nodes).lower()
    page.evaluate(f"app.extensionManager.setting.set('Comfy.VueNodes.Enabled', {enabled})")
    page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.click(f'[data-testid="template-workflow-{TEMPLATE}"]')
    page.wait_for_function("() => app.graph._nodes.some(n => n.type === 'CausVid_TextToVideo')")
    missing = page.evaluate("app.graph._nodes.filter(n => n.has_errors).map(n => n.type)")
    assert missing == []
    vary_seed(page, 1000 + vue_nodes)
    page.evaluate(WATCH)
    page.click('[data-testid="queue-button"]')
    page.wait_for_function(ENDED, timeout=300_000)
    assert "execution_error" not in page.evaluate("seen")
    assert "b_preview_with_metadata" in page.evaluate("seen")
    page.wait_for_function(PLAYABLE)
    until_still(page)
    look = "nodes_2" if vue_nodes else "classic"
    page.screenshot(path=artifacts / f"{TEMPLATE}-{host.release}-{look}.png")
    [video] = page.evaluate(VIDEOS)
    assert video["width"] > 0 and video["seconds"] > 1
    assert page.own_errors == []


def test_the_template_opens_from_its_address(page, host: Host) -> None:
    page.goto(f"{host.address}/?template={TEMPLATE}&source={PACK_NAME}")
    page.wait_for_function(
        "() => window.app?.graph?._nodes.some(n => n.type === 'CausVid_TextToVideo')"
    )


def test_every_template_of_the_mini_opens_as_it_was_saved(page, host: Host) -> None:
    for path in sorted(WORKFLOWS.glob("*.json")):
        saved = json.loads(path.read_text("utf-8"))
        if any(node["properties"].get("models") for node in saved["nodes"]):
            continue  # it asks for files that are not there
        page.evaluate("graph => app.loadGraphData(graph)", saved)
        opened = page.evaluate(OPENED)
        assert opened["wrong"] == [], path.stem
        assert sorted(link[0] for link in opened["links"]) == [x[0] for x in saved["links"]]
        nodes = {node["id"]: node for node in opened["nodes"]}
        assert len(nodes) == len(saved["nodes"])
        for node in saved["nodes"]:
            values = node.get("widgets_values", [])
            shown = nodes[node["id"]].get("widgets_values", [])
            assert shown[: len(values)] == values, f"{path.stem}: {node['type']}"
            assert nodes[node["id"]]["mode"] == node["mode"]
    assert page.own_errors == []


def vary_seed(page, seed: int) -> None:
    """Equal inputs would be answered from the server's cache, without a preview."""
    page.evaluate(
        """seed => {
            const node = app.graph._nodes.find(n => n.type === "CausVid_TextToVideo");
            node.widgets.find(w => w.name === "seed").value = seed;
        }""",
        seed,
    )
