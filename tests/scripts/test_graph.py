"""Turning a workflow, as the editor saves it, into the server's prompt."""

import pytest
from hosting.graph import GraphError, find_node, prompt_from_workflow

SCHEMAS = {
    "Load": {"input": {"required": {"file": [["a.png", "b.png"], {"image_upload": True}]}}},
    "Sample": {
        "display_name": "The Sampler",
        "input": {
            "required": {
                "model": ["MODEL"],
                "seed": ["INT", {"control_after_generate": True}],
                "mode": ["COMBO", {"options": ["x", "y"]}],
            },
            "optional": {"mask": ["MASK"], "note": ["STRING", {}], "k": ["INT", {"forceInput": 1}]},
        },
    },
    "Change": {"input": {"required": {"model": ["MODEL"], "strength": ["FLOAT", {}]}}},
}


def node(node_id, kind, inputs=(), values=(), outputs=("MODEL",), **more):
    sockets = [{"name": name, "type": t, "link": link} for name, t, link in inputs]
    slots = [{"name": t, "type": t} for t in outputs]
    return {
        "id": node_id,
        "type": kind,
        "inputs": sockets,
        "outputs": slots,
        "widgets_values": list(values),
        **more,
    }


def chain(**middle):
    """Load -> Change -> Reroute -> Sample, and a comment."""
    return {
        "nodes": [
            node(1, "Load", values=["b.png", "image"]),
            node(2, "Change", [("model", "MODEL", 10)], [0.5], **middle),
            node(3, "Reroute", [("", "*", 11)]),
            node(
                4,
                "Sample",
                [("model", "MODEL", 12), ("mask", "MASK", None)],
                [7, "randomize", "y", "hello"],
            ),
            node(5, "MarkdownNote", values=["read me"]),
        ],
        "links": [[10, 1, 0, 2, 0, "MODEL"], [11, 2, 0, 3, 0, "MODEL"], [12, 3, 0, 4, 0, "MODEL"]],
    }


def test_values_are_named_and_links_followed() -> None:
    prompt = prompt_from_workflow(chain(), SCHEMAS)
    assert prompt.keys() == {"1", "2", "4"}
    assert prompt["1"]["inputs"] == {"file": "b.png"}
    assert prompt["2"]["inputs"] == {"strength": 0.5, "model": ["1", 0]}
    expected = {"seed": 7, "mode": "y", "note": "hello", "model": ["2", 0]}
    assert prompt["4"]["inputs"] == expected
    assert prompt["4"]["_meta"]["title"] == "The Sampler"


def test_a_bypassed_node_passes_its_input_on_and_a_muted_one_passes_nothing() -> None:
    bypassed = prompt_from_workflow(chain(mode=4), SCHEMAS)
    assert bypassed["4"]["inputs"]["model"] == ["1", 0] and "2" not in bypassed
    muted = prompt_from_workflow(chain(mode=2), SCHEMAS)
    assert "model" not in muted["4"]["inputs"]


def test_the_newer_file_format_has_links_as_objects() -> None:
    workflow = chain()
    workflow["links"] = [
        {"id": i, "origin_id": a, "origin_slot": s, "target_id": b, "target_slot": 0}
        for i, a, s, b, _, _ in workflow["links"]
    ]
    prompt = prompt_from_workflow(workflow, SCHEMAS)
    assert prompt == prompt_from_workflow(chain(), SCHEMAS)


def test_a_primitive_node_gives_its_value() -> None:
    workflow = chain()
    workflow["nodes"].append(node(6, "PrimitiveNode", values=[99, "fixed"], outputs=("INT",)))
    workflow["nodes"][3]["inputs"].append({"name": "seed", "type": "INT", "link": 13})
    workflow["links"].append([13, 6, 0, 4, 2, "INT"])
    assert prompt_from_workflow(workflow, SCHEMAS)["4"]["inputs"]["seed"] == 99


def test_unknown_nodes_are_named() -> None:
    with pytest.raises(GraphError, match="no node type Change"):
        prompt_from_workflow(chain(), {k: v for k, v in SCHEMAS.items() if k != "Change"})
    with pytest.raises(GraphError, match="no SaveVideo node"):
        find_node(prompt_from_workflow(chain(), SCHEMAS), "SaveVideo")
