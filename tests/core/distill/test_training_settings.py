"""The tables and keys of a training config are those recorded in training_settings.json."""

import dataclasses
import typing
from pathlib import Path
from typing import Any

from causvid_core.distill.training.settings import Experiment

from ...snapshot import check

SNAPSHOT = Path(__file__).with_name("training_settings.json")


def test_tables_keys_defaults_and_types_are_the_recorded_ones() -> None:
    check(SNAPSHOT, tables(Experiment))


def tables(settings: type, name: str = "") -> dict[str, Any]:
    """Every table by its name in TOML, "" for the top, with its keys; both sorted."""
    keys: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        kinds = typing.get_args(hints[field.name]) or (hints[field.name],)
        table = next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)
        if table is None:
            keys[field.name] = described(hints[field.name], field)
            continue
        keys[field.name] = {"type": "table"}
        if field.default is None:
            keys[field.name]["default"] = None
        elif field.default is not dataclasses.MISSING:
            assert field.default == table(), "a table left out is one without keys"
            keys[field.name]["default"] = {}
        inner |= tables(table, f"{name}.{field.name}".lstrip("."))
    return {name: dict(sorted(keys.items())), **dict(sorted(inner.items()))}


def described(hint: Any, field: dataclasses.Field) -> dict[str, Any]:
    """Type, default and limits of a key; without a default it has to be given."""
    found = {"type": hint.__name__ if isinstance(hint, type) else str(hint)}
    if typing.get_origin(hint) is tuple:
        found["type"] = f"list of {typing.get_args(hint)[0].__name__}"
    if field.default is not dataclasses.MISSING:
        found["default"] = field.default
    limits = {name: limit for name, limit in field.metadata.items() if limit not in (None, ())}
    return found | dict(sorted(limits.items()))
