"""Every shared workflow validates in every ComfyUI, with the model files that it names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hosting.graph import CONTROL_VALUES, prompt_from_workflow, widgets
from hosting.host import Host

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(p.stem for p in (ROOT / "workflows").glob("*.json"))


@contextmanager
def model_files(host: Host, workflow: dict[str, Any]) -> Iterator[None]:
    """Empty files under the names that the workflow's loaders ask for."""
    made = []
    for node in workflow["nodes"]:
        for model in node.get("properties", {}).get("models", []):
            file = host.base / "models" / model["directory"] / model["name"]
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
                made.append(file)
    try:
        yield
    finally:
        for file in made:
            file.unlink()


@pytest.mark.parametrize("name", NAMES)
def test_it_validates(host: Host, name: str) -> None:
    workflow = host.workflow(name)
    with model_files(host, workflow):
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
