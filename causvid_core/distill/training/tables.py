"""Reading a table of TOML into a frozen dataclass, with errors that name the file and the key."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

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


def read_table(kind: type[T], table: Mapping[str, Any], file: str, prefix: str = "") -> T:
    """The settings of class `kind` that a table holds.

    Nested tables become nested settings, lists become tuples, whole numbers pass for numbers.
    Raises ConfigError for an unknown key, a missing one, another type or a value out of range,
    and for what the class's own checks refuse.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise ConfigError(f"{file}: {prefix}{key} is no setting{_nearest(key, fields)}")
    hints = typing.get_type_hints(kind)
    values = {}
    for name, field in fields.items():
        path = f"{prefix}{name}"
        if name in table:
            values[name] = _value(hints[name], table[name], field.metadata, file, path)
        elif field.default is dataclasses.MISSING:
            raise ConfigError(
                f"{file}: {path} is missing; {_expected(hints[name])} has to be given"
            )
    try:
        return kind(**values)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{file}: {prefix.rstrip('.') or 'the config'}: {error}") from error


def _value(hint: Any, value: Any, limits: Mapping[str, Any], file: str, path: str) -> Any:
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    if type(None) in typing.get_args(hint) and len(options) == 1:
        hint = options[0]
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{file}: {path} is {value!r}; it has to be a table, [{path}]")
        return read_table(hint, value, file, f"{path}.")
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        if not isinstance(value, list):
            raise ConfigError(f"{file}: {path} is {value!r}; {_expected(hint)} is expected")
        return tuple(_plain(item, entry, limits, file, path) for entry in value)
    return _plain(hint, value, limits, file, path)


def _plain(kind: type, value: Any, limits: Mapping[str, Any], file: str, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{file}: {path} is {value!r}; {_expected(kind)} is expected")
    choices = limits.get("choices") or ()
    if choices and value not in choices:
        known = ", ".join(choices)
        raise ConfigError(f"{file}: {path} is {value!r}{_nearest(value, choices)}; known: {known}")
    for name, wrong, words in (
        ("least", lambda limit: value < limit, "at least"),
        ("most", lambda limit: value > limit, "at most"),
        ("above", lambda limit: value <= limit, "above"),
    ):
        limit = limits.get(name)
        if limit is not None and (value != value or wrong(limit)):
            raise ConfigError(f"{file}: {path} is {value!r}; it has to be {words} {limit:g}")
    return value


def _expected(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_WORDS[typing.get_args(hint)[0]]},"
    return _WORDS.get(hint, "a table")


def _nearest(key: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
