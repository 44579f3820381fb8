"""Nodes, inputs and outputs are those recorded in interface.json, on every ComfyUI release.

Saved workflows refer to them by name, and to widgets by their order.
"""

from pathlib import Path
from typing import Any

from hosting.host import Host

from ..snapshot import check

SNAPSHOT = Path(__file__).with_name("interface.json")
TEXTS = {"tooltip", "placeholder", "display_name"}
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
LISTS_FILES = {
    "CausVid_JobList.file",
    "CausVid_LoadCheckpoint.checkpoint",
    "CausVid_LoadStream.file",
    "CausVid_StreamDecode.tiny_decoder",
}


def test_nodes_are_the_recorded_ones(host: Host) -> None:
    own = {name: node for name, node in host.object_info.items() if name.startswith("CausVid_")}
    check(SNAPSHOT, {name: described(name, own[name]) for name in sorted(own)})


def described(name: str, node: dict[str, Any]) -> dict[str, Any]:
    """A node as a workflow depends on it; not its texts."""
    for group, inputs in node["input"].items():
        assert node["input_order"].get(group, []) == list(inputs), f"{name}: {group}"
    inputs: dict[str, dict[str, Any]] = {
        group: {key: facts(f"{name}.{key}", spec) for key, spec in inputs.items()}
        for group, inputs in node["input"].items()
        if inputs
    }
    shown = {key: spec for group in ("required", "optional") for key, spec in
             inputs.get(group, {}).items()}  # fmt: skip
    return {
        "category": node["category"],
        "output_node": node["output_node"],
        "deprecated": node["deprecated"],
        "experimental": node["experimental"],
        "outputs": {
            output: {"type": kind, "list": is_list}
            for output, kind, is_list in zip(
                node["output_name"], node["output"], node["output_is_list"], strict=True
            )
        },
        "inputs": inputs,
        "widgets": [key for key, spec in shown.items() if spec["type"] in WIDGETS],
    }


def facts(name: str, spec: Any) -> dict[str, Any]:
    """Type, default, limits and options of an input; hosts name hidden ones by their type alone."""
    if isinstance(spec, str):
        return {"type": spec}
    kind, settings = spec[0], dict(spec[1]) if len(spec) > 1 else {}
    for text in TEXTS:
        settings.pop(text, None)
    if name in LISTS_FILES:
        fixed = [option for option in settings["options"] if not Path(option).suffix]
        settings["options"] = [*fixed, "(files)"]
    return {"type": kind, **dict(sorted(settings.items()))}
