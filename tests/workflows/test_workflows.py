"""Shared workflows fit the nodes that they were saved with, in both ComfyUI releases."""

import json
from pathlib import Path
from typing import Any

import pytest
from hosting.graph import COMMENTS, CONTROL_VALUES, widgets
from hosting.host import Host

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
OURS = "CausVid_"
PYTHON_TYPES = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool}
ANYTHING = "*"  # the type of a socket that takes any output
MODEL_FOLDERS = {"diffusion_models", "text_encoders", "vae"}

Node = dict[str, Any]


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text("utf-8"))


def working_nodes(workflow: dict[str, Any]) -> list[Node]:
    return [node for node in workflow["nodes"] if node["type"] not in COMMENTS]


def test_node_types_and_inputs_exist(host: Host, workflow: dict[str, Any]) -> None:
    for node in working_nodes(workflow):
        schema = host.object_info[node["type"]]
        known = {**schema["input"].get("required", {}), **schema["input"].get("optional", {})}
        for socket in node["inputs"]:
            assert socket["name"] in known, f"{node['type']} has no input {socket['name']}"
            assert socket["type"] == known[socket["name"]][0]
        linked = {s["name"] for s in node["inputs"] if s["link"] is not None}
        shown = {name for name, _ in widgets(schema)}
        assert set(schema["input"].get("required", {})) <= linked | shown, node["type"]


def test_links_join_outputs_and_inputs_of_one_type(host: Host, workflow: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for link, source, slot, target, place, kind in workflow["links"]:
        output = nodes[source]["outputs"][slot]
        assert host.object_info[nodes[source]["type"]]["output"][slot] == output["type"] == kind
        assert link in output["links"]
        assert nodes[target]["inputs"][place]["link"] == link
        assert nodes[target]["inputs"][place]["type"] in (kind, ANYTHING)


def test_stored_values_fit_the_widgets_by_place(host: Host, workflow: dict[str, Any]) -> None:
    for node in working_nodes(workflow):
        stored = list(node.get("widgets_values") or [])
        specs = widgets(host.object_info[node["type"]])
        for name, spec in specs:
            if not stored:
                break
            check_value(f"{node['type']}.{name}", stored.pop(0), spec)
            if name == "seed":
                assert stored.pop(0) in CONTROL_VALUES
        assert stored == [], f"{node['type']}: too many stored values"
        if node["type"].startswith(OURS):
            count = len(specs) + any(name == "seed" for name, _ in specs)
            assert len(node.get("widgets_values") or []) == count, node["type"]


def check_value(name: str, value: Any, spec: list[Any]) -> None:
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    if isinstance(kind, str) and kind in PYTHON_TYPES:
        assert isinstance(value, PYTHON_TYPES[kind]), f"{name} is {value!r}"
        if "min" in options:
            assert options["min"] <= value <= options["max"], f"{name} is {value}"
        return
    choices = kind if isinstance(kind, list) else options.get("options", [])
    named = [choice["key"] if isinstance(choice, dict) else choice for choice in choices]
    is_file = isinstance(value, str) and value.removesuffix(" [output]").endswith(".safetensors")
    assert value in named or is_file, f"{name} is {value!r}"


def test_model_files_are_named_with_their_address(workflow: dict[str, Any]) -> None:
    named = {
        model["name"]: model
        for node in workflow["nodes"]
        for model in node["properties"].get("models", [])
    }
    values = [v for node in workflow["nodes"] for v in node.get("widgets_values") or []]
    used = {v for v in values if isinstance(v, str) and v.endswith(".safetensors")}
    assert used == set(named)
    for name, model in named.items():
        assert model["url"].startswith("https://huggingface.co/")
        assert model["url"].endswith(f"/{name}")
        assert model["directory"] in MODEL_FOLDERS


def test_nodes_do_not_overlap(workflow: dict[str, Any]) -> None:
    title = 30
    boxes = [
        (x, y - title, x + width, y + height, node["type"])
        for node in workflow["nodes"]
        for (x, y), (width, height) in [(node["pos"], node["size"])]
    ]
    for index, a in enumerate(boxes):
        for b in boxes[index + 1 :]:
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart, f"{a[4]} and {b[4]} overlap"


def test_the_mini_template_renders_a_video(host: Host) -> None:
    prompt = host.prompt("text_to_video_mini")
    run = host.run(prompt)
    assert run.status == "success", run.error
    [file] = run.files()
    assert file["filename"].endswith(".mp4")
    video = host.path(file).read_bytes()
    assert video[4:8] == b"ftyp" and len(video) > 1000
