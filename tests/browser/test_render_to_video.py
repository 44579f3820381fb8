"""Render to Video in the editor: the file shows in the node, and opens the graph it carries."""

from pathlib import Path

import pytest
from hosting.host import Host
from hosting.pack import PACK_NAME

from .waiting import until_still

TEMPLATE, KIND = "render_to_a_file", "CausVid_RenderToVideo"
SHORTEN = """seed => {
    const node = app.graph._nodes.find(n => n.type === 'CausVid_RenderToVideo');
    const set = (name, value) => { node.widgets.find(w => w.name === name).value = value; };
    set('minutes', 0.03); set('seed', seed);
    app.canvas.ds.scale = 0.4;  // what lies outside the window is not drawn
    app.canvas.centerOnNode(node);
}"""
WATCH = """() => {
    window.seen = [];
    window.shown = [];
    const api = window.comfyAPI.api.api;
    for (const type of ["execution_success", "execution_error"])
        api.addEventListener(type, () => window.seen.push(type));
    api.addEventListener("executed", e => window.shown.push(...(e.detail.output?.images ?? [])));
}"""
ENDED = "() => seen.includes('execution_success') || seen.includes('execution_error')"
PLAYABLE = "() => [...document.querySelectorAll('video')].some(v => v.videoWidth > 0)"
# As the editor does with a file that is dropped on the canvas.
DROP = """async () => {
    const file = window.shown.find(f => f.filename.endsWith('.mp4'));
    const query = new URLSearchParams(
        {filename: file.filename, subfolder: file.subfolder, type: file.type});
    const body = await (await window.comfyAPI.api.api.fetchApi('/view?' + query)).blob();
    app.graph.clear();
    await app.handleFile(new File([body], file.filename, {type: 'video/mp4'}));
}"""


@pytest.mark.parametrize("vue_nodes", [False, True], ids=["classic", "nodes_2"])
def test_the_file_shows_in_the_node_and_brings_its_graph_back(
    page, host: Host, artifacts: Path, vue_nodes: bool
) -> None:
    page.evaluate(
        f"app.extensionManager.setting.set('Comfy.VueNodes.Enabled', {str(vue_nodes).lower()})"
    )
    page.goto(f"{host.address}/?template={TEMPLATE}&source={PACK_NAME}")
    page.wait_for_function(f"() => window.app?.graph?._nodes.some(n => n.type === '{KIND}')")
    page.evaluate(SHORTEN, 500 + vue_nodes)
    page.evaluate(WATCH)
    page.click('[data-testid="queue-button"]')
    page.wait_for_function(ENDED, timeout=300_000)
    assert "execution_error" not in page.evaluate("seen")
    page.wait_for_function(PLAYABLE)
    until_still(page)
    look = "nodes_2" if vue_nodes else "classic"
    page.screenshot(path=artifacts / f"{TEMPLATE}-{host.release}-{look}.png")
    page.evaluate(DROP)
    page.wait_for_function(f"() => app.graph._nodes.some(n => n.type === '{KIND}')")
    minutes = "app.graph._nodes.find(n => n.type === 'CausVid_RenderToVideo').widgets.find("
    assert page.evaluate(minutes + "w => w.name === 'minutes').value") == 0.03
    assert page.own_errors == []
