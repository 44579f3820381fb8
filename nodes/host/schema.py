"""One way to write a node's schema for every supported ComfyUI.

Fields and arguments that came after the oldest supported release are dropped there. Texts come
from nodes/texts.json.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from .texts import node_text, socket_text

CATEGORY = "CausVid"
NODE_TEXTS = ("display_name", "description", "search_aliases")

CausVidStream = io.Custom("CAUSVID_STREAM")
CausVidPrompts = io.Custom("CAUSVID_PROMPTS")
CausVidRecipe = io.Custom("CAUSVID_RECIPE")

AnyInput = TypeVar("AnyInput")


def schema(
    *, node_id: str, inputs: Sequence[Any] = (), outputs: Sequence[Any] = (), **values: Any
) -> io.Schema:
    """An `io.Schema` in the pack's category, with its texts, which are put into the sockets.

    Fields that this host does not know are left out. Raises MissingText.
    """
    for group, sockets in (("inputs", inputs), ("outputs", outputs)):
        for socket in sockets:
            for name, text in socket_text(node_id, group, socket.id).items():
                setattr(socket, name, text)
    values |= {"inputs": list(inputs), "outputs": list(outputs), "category": CATEGORY}
    values |= {name: node_text(node_id, name) for name in NODE_TEXTS}
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(
        node_id=node_id, **{name: value for name, value in values.items() if name in known}
    )


def advanced(widget: AnyInput) -> AnyInput:
    """Fold a widget away under the node's advanced inputs; changes the widget and returns it.

    Hosts without an `advanced` argument pass the mark on from `extra_dict`, which their widgets
    have but do not take as an argument.
    """
    if hasattr(widget, "advanced"):
        widget.advanced = True
    else:
        widget.extra_dict = {**(getattr(widget, "extra_dict", None) or {}), "advanced": True}
    return widget


def verdict(check: Callable[..., object], *values: Any, **named: Any) -> bool | str:
    """True, or the sentence with which `check` refuses the values, for `validate_inputs`."""
    try:
        check(*values, **named)
    except (OSError, ValueError) as error:
        return str(error)
    return True


def blocked(sentence: str) -> ExecutionBlocker:
    """An output without a value: a node that uses it stops with the sentence."""
    return ExecutionBlocker(sentence)
