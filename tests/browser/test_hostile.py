"""What a shared workflow brings along is shown as it is written, and none of it runs."""

import json
from itertools import count
from typing import Any

import pytest
from hosting.host import Host
from hosting.pins import OLDEST

from .timeline_page import TimelinePage
from .waiting import ADD

RUN = "window.__pwned=1"
TAG = f"<img src=x onerror={RUN}>"
NAME = f"{TAG} [[x|javascript:{RUN}]] __LNK0__ {{{{7*7}}}} &lt;b&gt; \"'`"  # of a file
TEXTS = {
    "image": TAG,
    "script": f"<script>{RUN}</script>",
    "attribute": f"\"><svg onload={RUN}> ' autofocus onfocus={RUN} x='",
    "link": f"[x](javascript:{RUN}) ![y](x onerror={RUN})",
    "template": f"{{{{constructor.constructor('{RUN}')()}}}} ${{{RUN}}}",
    "host link": f"[[x|https://a.example/ onclick={RUN}]] __LNK1__ https://b.example www.c.example",
    "directions": "\u202egnp.exe\u2066 \u200f",
}
BOTH = pytest.mark.parametrize("vue_nodes", [False, True], ids=["classic", "nodes_2"])
SEEDS = count(88_000)
WATCH = """() => {
    window.seen = [];
    const api = window.comfyAPI.api.api;
    for (const type of ["execution_success", "execution_error"])
        api.addEventListener(type, event => window.seen.push([type, event.detail]));
}"""
WRITTEN = "text => document.body.textContent.includes(text)"


@pytest.fixture(autouse=True)
def nothing_ran(page: Any) -> Any:
    """No payload ran, now or a moment later, and no dialog of a script opened."""
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield
    page.wait_for_timeout(300)
    assert page.evaluate("window.__pwned ?? null") is None
    assert dialogs == [] and page.own_errors == []


def saving(host: Host, prompt: str, prefix: str) -> dict[str, Any]:
    """A short stream of the Mini that is saved under a name."""
    workflow = host.workflow("save_and_resume")
    workflow["nodes"] = [node for node in workflow["nodes"] if node["id"] in (1, 2, 3, 4)]
    mini, text, video, saved = workflow["nodes"]
    text["widgets_values"][0] = prompt
    video["widgets_values"][2:6] = [0.5, next(SEEDS), "fixed", 9]
    saved["widgets_values"][0] = prefix
    kept = {node["id"] for node in workflow["nodes"]}
    workflow["links"] = [link for link in workflow["links"] if {link[1], link[3]} <= kept]
    links = {link[0] for link in workflow["links"]}
    for node in (mini, text, video, saved):
        for slot in node.get("outputs") or ():
            slot["links"] = [link for link in slot.get("links") or () if link in links]
    workflow["groups"] = []
    return workflow


def open_and_run(page: Any, workflow: dict[str, Any], vue_nodes: bool) -> str:
    """How the run ended."""
    enabled = str(vue_nodes).lower()
    page.evaluate(f"app.extensionManager.setting.set('Comfy.VueNodes.Enabled', {enabled})")
    page.evaluate("graph => app.loadGraphData(graph)", workflow)
    page.wait_for_function("app.graph._nodes.length > 1")
    page.evaluate("app.canvas.ds.reset(); app.canvas.ds.scale = 0.4; app.canvas.setDirty(true)")
    page.evaluate(WATCH)
    page.evaluate("app.queuePrompt(0, 1)")
    page.wait_for_function("() => seen.length > 0", timeout=120_000)
    return page.evaluate("seen[0][0]")


def until_written(page: Any, host: Host, vue_nodes: bool, text: str) -> None:
    """Until the page shows the text; the Vue nodes of the oldest release show no notices."""
    if not (vue_nodes and host.release == OLDEST):
        page.wait_for_function(WRITTEN, arg=text)


@BOTH
def test_the_name_of_a_file_in_a_notice(page: Any, host: Host, vue_nodes: bool) -> None:
    workflow = saving(host, "a red circle", f"hostile {NAME}")
    assert open_and_run(page, workflow, vue_nodes) == "execution_success"
    until_written(page, host, vue_nodes, f"hostile {NAME}_0000")
    assert page.evaluate("document.querySelectorAll('img[src=x], a[href*=javascript]').length") == 0
    # It is not offered in a menu, which older editors fill with HTML.
    offered = json.dumps(host.client.get("/object_info/CausVid_LoadStream"))
    assert "onerror" not in offered
    assert list((host.base / "output").glob("hostile *.safetensors"))


@BOTH
def test_the_words_of_a_prompt_in_a_notice(page: Any, host: Host, vue_nodes: bool) -> None:
    prompt = f"a red circle {' '.join(TEXTS.values())}"
    assert open_and_run(page, saving(host, prompt, "plain"), vue_nodes) == "execution_success"
    if not vue_nodes:  # which show no notice on the host's own nodes
        page.wait_for_function(WRITTEN, arg="onerror")
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


@BOTH
def test_prompts_in_the_timeline(page: Any, host: Host, vue_nodes: bool) -> None:
    prompts = [TEXTS[name] for name in ("image", "script", "attribute", "template")]
    text = "\n".join(f"{3 * place}s: {prompt}" for place, prompt in enumerate(prompts))
    timeline = TimelinePage(page, host, text, vue_nodes, seconds=24.0)
    shown = page.locator(".cvt-clip .cvt-prompt").all_text_contents()
    assert len(shown) == len(prompts)
    for prompt, seen in zip(prompts, shown, strict=True):
        assert seen == prompt, "it is not shown as it is written"
    page.evaluate("document.querySelector('.cvt-clip').focus()")
    for broken in (f"0s: a\n{TAG}: b", f"0s [{TAG}]: a", f"0s ~{TAG}: a\n1s: b"):
        timeline.put(broken)
        page.wait_for_timeout(200)
    assert page.locator(".cvt img").count() == 0


def test_a_schedule_that_is_refused(page: Any, host: Host) -> None:
    page.evaluate(ADD, "CausVid_PromptSchedule")
    answer = page.evaluate(
        """async prompt => (await fetch('/prompt', {method: 'POST',
            body: JSON.stringify({prompt})})).json()""",
        {
            "mini": {"class_type": "CausVid_LoadMini", "inputs": {}},
            "list": {
                "class_type": "CausVid_PromptSchedule",
                "inputs": {"clip": ["mini", 1], "text": f"0s [{TAG}]: a"},
            },
        },
    )
    assert "error" in answer
