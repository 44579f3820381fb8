"""Read a table of TOML into a frozen dataclass, with errors that name the file and the key."""

from __future__ import annotations

import dataclasses
import difflib
import operator
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ..guidance import cfg_scale

T = TypeVar("T")

RENAMED = {
    "critic.lead_steps": "critic.warmup_steps",
    "critic.steps_per_update": "critic.critic_updates_per_generator_update",
    "data.no_prompt_share": "data.unconditional_probability",
    "dmd.least_timestep": "dmd.min_timestep",
    "dmd.most_timestep": "dmd.max_timestep",
    "run.recompute": "run.gradient_checkpointing",
    "samples.guidance": "samples.guidance_scale",
    "teacher.guidance": "teacher.guidance_scale",
}
"""Settings by the names that they had, and the names that they have."""

_LIMITS = (
    ("least", operator.ge, "at least"),
    ("most", operator.le, "at most"),
    ("above", operator.gt, "above"),
)
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}


class ConfigError(ValueError):
    """A config that cannot be used as it is; one sentence, with the file and the key."""


def setting(
    default: Any = dataclasses.MISSING,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a settings class with its range; without a default it has to be given."""
    limits = {"least": least, "most": most, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=limits)


def read_table(kind: type[T], table: Mapping[str, Any], file: str) -> T:
    """The settings of class `kind` that a table holds.

    Nested tables become nested settings, lists become tuples, whole numbers pass for numbers.
    Raises ConfigError for an unknown, renamed or missing key, another type or a value out of
    range, and for what the class's own checks refuse.
    """
    try:
        return _read(kind, table)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _read(kind: type[T], table: Mapping[str, Any], prefix: str = "") -> T:
    assert dataclasses.is_dataclass(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            raise ConfigError(_unknown(f"{prefix}{key}", value, fields))
    hints = typing.get_type_hints(kind)
    values = {}
    for name, field in fields.items():
        path = f"{prefix}{name}"
        if name in table:
            values[name] = _value(hints[name], table[name], field.metadata, path)
        elif field.default is dataclasses.MISSING:
            raise ConfigError(f"{path} is missing; {_expected(hints[name])} has to be given")
    try:
        return typing.cast(T, kind(**values))
    except ValueError as error:
        raise ConfigError(f"{prefix.rstrip('.') or 'the config'}: {error}") from error


def saved_table(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The config that a run saved, by today's names and without what was left out."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        name = RENAMED.get(path, path)
        if isinstance(value, Mapping):
            value = saved_table(value, f"{path}.")
        elif name.endswith(".guidance_scale") and name != path:
            value = cfg_scale(value)
        if value is not None:
            found[name.removeprefix(prefix)] = value
    return found


def _unknown(path: str, value: Any, fields: Iterable[str]) -> str:
    if path not in RENAMED:
        return f"{path} is not a setting{_nearest(path.rpartition('.')[2], fields)}"
    message = f"{path} is now called {RENAMED[path]}"
    if path.endswith(".guidance") and isinstance(value, (int, float)):
        message += (
            " and counts as samplers do, uncond + scale * (cond - uncond): write "
            f"{cfg_scale(value):g} for {value:g}"
        )
    return message


def _value(hint: Any, value: Any, limits: Mapping[str, Any], path: str) -> Any:
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    if type(None) in typing.get_args(hint) and len(options) == 1:
        hint = options[0]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{path} is {value!r}; it has to be a table, [{path}]")
        return _read(hint, value, f"{path}.")
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{path} is {value!r}; {_expected(hint)} is expected")
        return tuple(_value(options[0], entry, limits, path) for entry in value)
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise ConfigError(f"{path} is {value!r}; {_expected(hint)} is expected")
    choices = limits.get("choices") or ()
    if choices and value not in choices:
        known = ", ".join(choices)
        raise ConfigError(f"{path} is {value!r}{_nearest(value, choices)}; known: {known}")
    for name, allows, words in _LIMITS:
        limit = limits.get(name)
        if limit is not None and not allows(value, limit):
            raise ConfigError(f"{path} is {value!r}; it has to be {words} {limit:g}")
    return value


def _expected(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_WORDS[typing.get_args(hint)[0]]},"
    return _WORDS.get(hint, "a table")


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
