"""One way to write a node's schema for every supported ComfyUI.

Fields and arguments that came after the oldest supported release are dropped there.
"""

from dataclasses import fields
from typing import Any, TypeVar

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

CATEGORY = "CausVid"

CausVidStream = io.Custom("CAUSVID_STREAM")
CausVidPrompts = io.Custom("CAUSVID_PROMPTS")
CausVidRecipe = io.Custom("CAUSVID_RECIPE")

AnyInput = TypeVar("AnyInput")


def schema(**values: Any) -> io.Schema:
    """An `io.Schema` in the pack's category, without the fields that this host does not know."""
    known = {field.name for field in fields(io.Schema)}
    values.setdefault("category", CATEGORY)
    return io.Schema(**{name: value for name, value in values.items() if name in known})


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


def blocked(sentence: str) -> ExecutionBlocker:
    """An output that there is none of: nodes that it is linked to stop with the sentence."""
    return ExecutionBlocker(sentence)
