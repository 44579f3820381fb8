"""Turns a workflow, as the editor saves it, into the prompt that the server runs.

The editor stores a node's values as a list in the order of its widgets; the server wants them by
name. Which inputs are widgets, and in which order, is known from the server's `/object_info`.
"""

from typing import Any

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3"}
CONTROL_VALUES = {"fixed", "increment", "decrement", "randomize"}
COMMENTS = {"Note", "MarkdownNote"}
MUTED, BYPASSED = 2, 4

Workflow = dict[str, Any]
Prompt = dict[str, dict[str, Any]]


class GraphError(ValueError):
    """A workflow that cannot be converted; the message names the node."""


def prompt_from_workflow(workflow: Workflow, object_info: dict[str, Any]) -> Prompt:
    """The API-format prompt of a UI-format workflow without subgraphs.

    Muted nodes are left out, bypassed ones and reroutes are replaced by what feeds them.
    Raises GraphError for nodes that the server does not know.
    """
    nodes = {node["id"]: node for node in workflow["nodes"] if node["type"] not in COMMENTS}
    links = dict(_link(entry) for entry in workflow["links"])
    prompt: Prompt = {}
    for node in nodes.values():
        if node["type"] in ("Reroute", "PrimitiveNode") or node.get("mode") in (MUTED, BYPASSED):
            continue
        if node["type"] not in object_info:
            raise GraphError(f"Node {node['id']}: the server has no node type {node['type']}.")
        inputs = widget_values(node, object_info[node["type"]])
        for socket in node.get("inputs") or []:
            source = _source(socket.get("link"), nodes, links)
            if isinstance(source, list):
                inputs[socket["name"]] = source
            elif source is not None:
                inputs[socket["name"]] = source["widgets_values"][0]
        title = node.get("title") or object_info[node["type"]].get("display_name") or node["type"]
        meta = {"title": title}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": meta}
    return prompt


def widget_values(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The node's stored values by input name."""
    values = node.get("widgets_values") or []
    if isinstance(values, dict):
        return dict(values)
    remaining = list(values)
    named = {}
    for name, spec in widgets(schema):
        if not remaining:
            break
        named[name] = remaining.pop(0)
        if remaining and _has_control(name, spec) and remaining[0] in CONTROL_VALUES:
            remaining.pop(0)
        elif remaining and _has_upload(spec):
            remaining.pop(0)
    return named


def widgets(schema: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Name and specification of the inputs that the editor shows as widgets, in its order."""
    inputs = schema["input"]
    specs = {**inputs.get("required", {}), **inputs.get("optional", {})}
    return [(name, spec) for name, spec in specs.items() if _is_widget(spec)]


def find_node(prompt: Prompt, class_type: str) -> str:
    """The id of the prompt's first node of a type. Raises GraphError when there is none."""
    for node_id, node in prompt.items():
        if node["class_type"] == class_type:
            return node_id
    raise GraphError(f"The workflow has no {class_type} node.")


def _is_widget(spec: list[Any]) -> bool:
    kind, options = spec[0], _options(spec)
    return (isinstance(kind, list) or kind in WIDGET_TYPES) and not options.get("forceInput")


def _options(spec: list[Any]) -> dict[str, Any]:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}


def _has_control(name: str, spec: list[Any]) -> bool:
    return bool(_options(spec).get("control_after_generate")) or name in ("seed", "noise_seed")


def _has_upload(spec: list[Any]) -> bool:
    return any(_options(spec).get(f"{kind}_upload") for kind in ("image", "video", "audio"))


def _link(entry: list[Any] | dict[str, Any]) -> tuple[int, tuple[int, int]]:
    """Link id -> (source node, source slot), for both versions of the file format."""
    if isinstance(entry, dict):
        return entry["id"], (entry["origin_id"], entry["origin_slot"])
    return entry[0], (entry[1], entry[2])


def _source(
    link: int | None, nodes: dict[int, Any], links: dict[int, tuple[int, int]]
) -> list[Any] | dict[str, Any] | None:
    """What feeds a link: [node id, slot], a PrimitiveNode, or None for nothing."""
    while link is not None:
        origin, slot = links[link]
        if origin not in nodes:
            raise GraphError(f"Link {link} starts at node {origin}, which is not in the workflow.")
        node = nodes[origin]
        if node["type"] == "PrimitiveNode":
            return node
        if node.get("mode") == MUTED:
            return None
        if node["type"] != "Reroute" and node.get("mode") != BYPASSED:
            return [str(origin), slot]
        link = _passed_through(node, slot)
    return None


def _passed_through(node: dict[str, Any], slot: int) -> int | None:
    """The link that a bypassed node hands to its output `slot`: the first input of that type."""
    if node["type"] == "Reroute":
        return node["inputs"][0].get("link")
    kind = node["outputs"][slot]["type"]
    for socket in node.get("inputs") or []:
        if socket["type"] == kind and socket.get("link") is not None:
            return socket["link"]
    return None
