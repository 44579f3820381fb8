"""What the tests of the player share: a slow graph, and what a page shows of it."""

import copy
from itertools import count
from typing import Any

from hosting.graph import Workflow
from hosting.host import Host

KIND = "CausVid_TextToVideo"
SEEDS = count(77_000)
PLAYER = ".causvid-player"
SHOWN = """() => {
    const player = [...document.querySelectorAll('.causvid-player')]
        .find(p => p.getClientRects().length);
    if (!player) return null;
    const scrub = player.querySelector('input'), canvas = player.querySelector('canvas');
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let mark = 0;
    for (let i = 0; i < data.length; i += 97) mark = (mark * 31 + data[i]) % 1000000007;
    const box = e => { const {x, y, width, height} = e.getBoundingClientRect();
                       return {x, y, width, height}; };
    return {...player.dataset, position: Number(scrub.value), first: Number(scrub.min),
            last: Number(scrub.max), mark, colours: new Set(data).size,
            reached: player.style.getPropertyValue('--reached'),
            spoken: scrub.getAttribute('aria-valuetext'),
            text: player.querySelector('.causvid-line').textContent,
            box: box(player), canvas: box(canvas)};
}"""


def slow_workflow(host: Host, px_frames: int, widgets: dict[str, Any] | None = None) -> Workflow:
    """Text to video with the Mini for so many px frames, whose latents are only saved."""
    workflow = copy.deepcopy(host.workflow("text_to_video_mini"))
    kept = [node for node in workflow["nodes"] if node["id"] in (1, 2, 3)]
    kept[0]["outputs"][2]["links"] = []
    kept[2]["widgets_values"][0:6] = [64, 64, 2.0, next(SEEDS), "fixed", px_frames]
    saving = {
        "id": 8,
        "type": "SaveLatent",
        "pos": [1180, 60],
        "size": [270, 58],
        "mode": 0,
        "flags": {},
        "order": 3,
        "properties": {},
        "widgets_values": ["player"],
        "inputs": [{"name": "samples", "type": "LATENT", "link": 4}],
        "outputs": [{"name": "samples", "type": "LATENT", "links": []}],
    }
    links = [link for link in workflow["links"] if link[0] in (1, 2, 3)]
    workflow["nodes"], workflow["links"] = [*kept, saving], [*links, [4, 3, 1, 8, 0, "LATENT"]]
    return workflow


def open_workflow(page: Any, workflow: Workflow, vue_nodes: bool = False) -> None:
    """Open it in the classic or the Vue renderer."""
    enabled = str(vue_nodes).lower()
    page.evaluate(f"app.extensionManager.setting.set('Comfy.VueNodes.Enabled', {enabled})")
    page.evaluate("graph => app.loadGraphData(graph)", workflow)
    page.wait_for_function(f"() => app.graph._nodes.some(n => n.type === '{KIND}')")
    page.evaluate("app.canvas.ds.reset(); app.canvas.ds.scale = 0.75; app.canvas.setDirty(true)")


def shown(page: Any) -> dict[str, Any] | None:
    """What the visible player shows; None without one."""
    return page.evaluate(SHOWN)


def wait_for_player(page: Any, condition: str = "true") -> dict[str, Any]:
    """Wait until a visible player, `p`, fulfils a condition in JavaScript."""
    found = f"() => {{ const p = ({SHOWN})(); return p && p.colours > 2 && ({condition}); }}"
    page.wait_for_function(found, timeout=60_000)
    return shown(page)


def end_of_run(page: Any) -> None:
    """Interrupt what still runs, and wait for it."""
    page.evaluate("fetch('/interrupt', {method: 'POST'})")
    wait_for_player(page, "p.state !== 'running'")
