"""Names, descriptions and tooltips of the nodes: nodes/texts.json, for editors and translators.

A text of an input or output is looked up with its node first and then among the shared ones. A
number at the end of an id may be written as #: `prompt_#` serves prompt_1 to prompt_8.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[1] / "texts.json"


class MissingText(LookupError):
    """A node, input or output has no text in texts.json."""


@lru_cache(maxsize=1)
def texts() -> dict[str, Any]:
    """The file: `nodes` by id, and the shared `inputs` and `outputs`."""
    return json.loads(PATH.read_text("utf-8"))


def node_text(node_id: str, field: str) -> Any:
    """The `display_name`, `description` or `search_aliases` of a node. Raises MissingText."""
    return _found(node_id, field, texts()["nodes"].get(node_id, {}))


def socket_text(node_id: str, group: str, name: str) -> dict[str, str]:
    """Texts of one of a node's `inputs` or `outputs`, such as its `tooltip`. Raises MissingText."""
    own = texts()["nodes"].get(node_id, {}).get(group, {})
    pattern = re.sub(r"\d+$", "#", name)
    known = {**texts()[group], **own}
    text = _found(
        f"{node_id}.{group}", name, known if name in known else {name: known.get(pattern)}
    )
    return {"tooltip": text} if isinstance(text, str) else text


def _found(place: str, name: str, known: dict[str, Any]) -> Any:
    if not known.get(name):
        raise MissingText(f"{PATH.name} has no text for {place}.{name}; write one there.")
    return known[name]
