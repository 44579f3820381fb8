"""Snapshots: parts of the interface recorded as JSON, so that no change goes unnoticed.

A test describes what it finds as plain values and calls `check`. When a change is meant, run that
test with CAUSVID_UPDATE_SNAPSHOTS=1 to record it, and review the difference in the JSON file.
"""

import json
import os
from pathlib import Path
from typing import Any

UPDATE = "CAUSVID_UPDATE_SNAPSHOTS"
_ABSENT = object()


def check(path: Path, found: Any) -> None:
    """Fail, naming the first difference, unless `found` equals the snapshot in file `path`.

    The order of keys counts; sort them where it should not.
    """
    text = layout(found) + "\n"
    if os.environ.get(UPDATE) == "1":
        path.write_text(text, encoding="utf-8")
    recorded = json.loads(path.read_text("utf-8"))
    message = difference(recorded, json.loads(text))
    assert message is None, f"{message}. If this is meant, record it with {UPDATE}=1 ({path.name})"


def difference(recorded: Any, found: Any, place: str = "") -> str | None:
    """The first difference between two plain values in words, or None."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in [*recorded, *found]:
            inner = f"{place} > {key}" if place else str(key)
            message = difference(recorded.get(key, _ABSENT), found.get(key, _ABSENT), inner)
            if message is not None:
                return message
        return _unless_equal(list(recorded), list(found), f"the order in {place or 'the file'}")
    if found is _ABSENT:
        return f"{place} is gone; recorded was {_short(recorded)}"
    if recorded is _ABSENT:
        return f"{place} is new: {_short(found)}"
    return _unless_equal(recorded, found, place)


def layout(value: Any, indent: str = "") -> str:
    """JSON with a line for every innermost object, which shows changes well."""
    inner = value.values() if isinstance(value, dict) else ()
    if not any(isinstance(part, dict) and part for part in inner):
        return json.dumps(value, ensure_ascii=False)
    lines = [
        f"{indent} {json.dumps(key)}: {layout(part, indent + ' ')}" for key, part in value.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _unless_equal(recorded: Any, found: Any, place: str) -> str | None:
    # The type counts as well: to Python, 0 equals False and 0.0.
    if json.dumps(recorded) == json.dumps(found):
        return None
    return f"{place} is {_short(found)}; recorded was {_short(recorded)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}..."
