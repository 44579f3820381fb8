"""A graph as the editor saves it, built node by node from the schemas of a running ComfyUI.

Sockets, widgets, their order and their defaults come from the server, so that a file always fits
its nodes. Columns are laid out by the heights of their nodes.
"""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from hosting.graph import MUTED, GraphError, Workflow, widgets
from hosting.pack import PACK_NAME

LEFT, TOP, GAP, TITLE = 40, 120, 40, 30
SLOT, WIDGET, ROW_GAP, VIEW = 20, 24, 110, 1450
LETTER, LINE = 8, 21  # of a note: px that a letter and a line take
PREVIEWS = {"CausVid_TextToVideo", "CausVid_ImageToVideo", "CausVid_VideoToVideo"}
PREVIEW, MULTILINE, VIDEO = 200, 130, 380
VIDEOS = {"SaveVideo", "CausVid_RenderToVideo"}
CORE, CORE_VERSION, VERSION = "comfy-core", "0.3.75", "0.1.0"
NOTE_COLOURS = {"color": "#432", "bgcolor": "#653"}
GROUP_COLOUR = "#3f789e"
ANYTHING = "*"  # the type of a socket that takes any output

Schemas = dict[str, Any]
Inputs = dict[str, Any]  # of a node: values, and Outputs for sockets


class Output(NamedTuple):
    """An output of a node, for use as the input of another."""

    node: Node
    slot: int


class Node:
    """One node; `node["LATENT"]` is its output of that name."""

    def __init__(self, saved: dict[str, Any]) -> None:
        self.saved = saved

    def __getitem__(self, name: str) -> Output:
        names = [output["name"] for output in self.saved["outputs"]]
        if name not in names:
            raise GraphError(f"{self.saved['type']} has no output {name}, but {', '.join(names)}.")
        return Output(self, names.index(name))

    def has(self, output: str) -> bool:
        return any(one["name"] == output for one in self.saved["outputs"])

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, its title included."""
        (x, y), (width, height) = self.saved["pos"], self.saved["size"]
        return x, y - TITLE, x + width, y + height


class Graph:
    """Collects nodes, links and groups. schemas: the server's `/object_info`."""

    def __init__(self, schemas: Schemas, name: str) -> None:
        self.schemas = schemas
        self.name = name
        self._nodes: list[Node] = []
        self._links: list[list[Any]] = []
        self._groups: list[dict[str, Any]] = []

    def node(
        self, kind: str, title: str = "", wide: int = 320, high: int = 0, **inputs: Any
    ) -> Node:
        """Add a node. inputs: values and `Output`s by name; other widgets keep their defaults.

        wide, high: in px, without the title; a height of 0 fits sockets and widgets.
        Raises GraphError for an unknown type or input.
        """
        if kind not in self.schemas:
            raise GraphError(f"The server has no node type {kind}.")
        schema = self.schemas[kind]
        specs = {**schema["input"].get("required", {}), **schema["input"].get("optional", {})}
        if unknown := set(inputs) - set(specs):
            raise GraphError(f"{kind} has no input {', '.join(sorted(unknown))}.")
        sockets, values = [], []
        shown = dict(widgets(schema))
        for name, spec in specs.items():
            if name not in shown:
                optional = {"shape": 7} if name in schema["input"].get("optional", {}) else {}
                sockets.append({"name": name, "type": spec[0], "link": None, **optional})
        for name, spec in shown.items():
            linked = isinstance(inputs.get(name), Output)
            if linked:
                widget = {"name": name}
                sockets.append({"name": name, "type": spec[0], "widget": widget, "link": None})
            values.append(_default(spec) if linked or name not in inputs else inputs[name])
            if name == "seed":
                values.append("fixed")
        outputs = [
            {"name": name, "type": of, "links": []}
            for name, of in zip(schema["output_name"], schema["output"], strict=True)
        ]
        ours = kind.startswith("CausVid_")
        properties = {
            "Node name for S&R": kind,
            "cnr_id": PACK_NAME if ours else CORE,
            "ver": VERSION if ours else CORE_VERSION,
        }
        size = [wide, high or _height(kind, sockets, outputs, shown)]
        node = self._add(kind, size, title, sockets, outputs, properties, values)
        for place, socket in enumerate(sockets):
            if socket["name"] in inputs:
                self._link(inputs[socket["name"]], node, place)
        return node

    def note(self, title: str, text: str, wide: int) -> Node:
        """Add a note in Markdown with room for its text."""
        lines = sum(1 + len(line) * LETTER // wide for line in text.strip().split("\n"))
        high = lines * LINE + 50
        node = self._add("MarkdownNote", [wide, high], title, [], [], {}, [text.strip()])
        node.saved |= NOTE_COLOURS
        return node

    def place(self, left: float, top: float, *columns: list[Node]) -> tuple[float, float]:
        """Place columns of nodes from left to right, each downwards from `top`.

        Returns where the next column and the next row begin.
        """
        x, bottom = left, top
        for column in columns:
            y = top
            for node in column:
                node.saved["pos"] = [x, y]
                y += node.saved["size"][1] + TITLE + GAP
            x += max(node.saved["size"][0] for node in column) + GAP
            bottom = max(bottom, y - TITLE - GAP + ROW_GAP)
        return x, bottom

    def group(self, title: str, *nodes: Node, colour: str = GROUP_COLOUR) -> None:
        """Put placed nodes into a titled group."""
        left, top, right, bottom = zip(*(node.box for node in nodes), strict=True)
        x, y = min(left) - 15, min(top) - 45
        size = [max(right) + 15 - x, max(bottom) + 15 - y]
        self._groups.append(
            {
                "id": len(self._groups) + 1,
                "title": title,
                "bounding": [x, y, *size],
                "color": colour,
                "font_size": 24,
                "flags": {},
            }
        )

    def mute(self, *nodes: Node) -> None:
        """Leave nodes out of runs until the artist turns them on."""
        for node in nodes:
            node.saved["mode"] = MUTED

    def workflow(self) -> Workflow:
        """The file's content, version 0.4."""
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{PACK_NAME}/{self.name}")),
            "revision": 0,
            "last_node_id": len(self._nodes),
            "last_link_id": len(self._links),
            "nodes": [node.saved for node in self._nodes],
            "links": self._links,
            "groups": self._groups,
            "config": {},
            "extra": {"ds": {"scale": self._scale(), "offset": [40, 40]}},
            "version": 0.4,
        }

    def _scale(self) -> float:
        """The zoom that shows the whole width in a window of usual size."""
        return round(min(0.85, VIEW / max(node.box[2] for node in self._nodes)), 2)

    def _add(
        self,
        kind: str,
        size: list[int],
        title: str,
        sockets: list[Any],
        outputs: list[Any],
        properties: dict[str, Any],
        values: list[Any],
    ) -> Node:
        number = len(self._nodes) + 1
        node = Node(
            {
                "id": number,
                "type": kind,
                "pos": [0, 0],
                "size": size,
                "flags": {},
                "order": number - 1,
                "mode": 0,
                "inputs": sockets,
                "outputs": outputs,
                "properties": properties,
                **({"title": title} if title else {}),
                **({"widgets_values": values} if values else {}),
            }
        )
        self._nodes.append(node)
        return node

    def _link(self, source: Output, target: Node, place: int) -> None:
        output, socket = source.node.saved["outputs"][source.slot], target.saved["inputs"][place]
        if socket["type"] not in (output["type"], ANYTHING):
            raise GraphError(
                f"{output['name']} of {source.node.saved['type']} does not fit {socket['name']} "
                f"of {target.saved['type']}."
            )
        number = len(self._links) + 1
        output["links"].append(number)
        socket["link"] = number
        ends = [source.node.saved["id"], source.slot, target.saved["id"], place]
        self._links.append([number, *ends, output["type"]])


def choices(schema: dict[str, Any], name: str) -> list[Any]:
    """The choices of a combo input."""
    inputs = schema["input"]
    return _choices({**inputs.get("required", {}), **inputs.get("optional", {})}[name])


def _choices(spec: list[Any]) -> list[Any]:
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    found = kind if isinstance(kind, list) else options.get("options") or []
    return [choice["key"] if isinstance(choice, dict) else choice for choice in found]


def _default(spec: list[Any]) -> Any:
    """What a widget shows in a new node."""
    if len(spec) > 1 and "default" in spec[1]:
        return spec[1]["default"]
    return (_choices(spec) or [{"INT": 0, "FLOAT": 0.0, "BOOLEAN": False}.get(spec[0], "")])[0]


def _height(kind: str, sockets: list[Any], outputs: list[Any], shown: dict[str, Any]) -> int:
    """Px for sockets and widgets, and for what the node shows after a run."""
    high = max(len(sockets), len(outputs)) * SLOT + 10
    for name, spec in shown.items():
        multiline = len(spec) > 1 and spec[1].get("multiline")
        high += MULTILINE if multiline else WIDGET * (2 if name == "seed" else 1)
    return high + (PREVIEW if kind in PREVIEWS else VIDEO if kind in VIDEOS else 0)
