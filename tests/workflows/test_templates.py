"""Every shared workflow validates in every ComfyUI, with the model files that it names."""

from pathlib import Path

import pytest
from hosting.graph import CONTROL_VALUES, prompt_from_workflow, widgets
from hosting.host import Host

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(p.stem for p in (ROOT / "workflows").glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_it_validates(host: Host, name: str) -> None:
    workflow = host.workflow(name)
    with host.placeholder_models(workflow):
        schemas = host.client.object_info()  # a fresh one: it lists the model files
        prompt = prompt_from_workflow(workflow, schemas)
        status, answer = host.client.post("/validate", {"prompt": prompt})
    assert status == 200, answer


@pytest.mark.parametrize("name", NAMES)
def test_its_values_fit_the_widgets(host: Host, name: str) -> None:
    """Widgets are only ever appended: a saved value keeps its place."""
    for node in host.workflow(name)["nodes"]:
        if not node["type"].startswith("CausVid_"):
            continue
        values = [v for v in node.get("widgets_values", []) if v not in CONTROL_VALUES]
        assert len(values) == len(widgets(host.object_info[node["type"]])), node["type"]
