"""What all probes share."""

import importlib
import json
import sys
from types import ModuleType
from typing import Any

PACK_NAME = "causvid-stream"


def pack_module(path: str) -> ModuleType:
    """A module of the pack as the host has loaded it, such as "nodes.host.loading.sampling"."""
    package = next(name for name in sys.modules if name.endswith(PACK_NAME))
    return importlib.import_module(f"{package}.{path}")


def shown(facts: Any) -> dict[str, Any]:
    """What an output node returns to leave facts in the history, as JSON."""
    return {"ui": {"text": [json.dumps(facts)]}}


class Node:
    """A node without inputs or outputs."""

    CATEGORY = "test"
    FUNCTION = "run"
    RETURN_TYPES: tuple[str, ...] = ()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}


class OutputNode(Node):
    """A node that runs whether or not others need it."""

    OUTPUT_NODE = True
