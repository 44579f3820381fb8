"""Read experiments from TOML files, with single values set on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .settings import Experiment
from .tables import ConfigError, read_table


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """An experiment from a TOML file. Raises ConfigError.

    overrides: "key=value" with the key's tables before it, such as "run.seed=3"; a value that is
    not TOML is taken as text.
    """
    path = Path(path)
    toml = _toml()
    try:
        table = toml.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no config {path}; the pack's own are in configs") from None
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {override} has no value; write --set key=value")
        try:
            value = toml.loads(f"value = {text.strip()}")["value"]
        except toml.TOMLDecodeError:
            value = text.strip()
        _put(table, key.strip().split("."), value, override)
    return read_table(Experiment, table, str(path))


def require_paths(experiment: Experiment) -> None:
    """Raise ConfigError for the first setting that is still a <placeholder>."""
    for key, value in _texts(asdict(experiment)):
        if value.startswith("<") and value.endswith(">"):
            raise ConfigError(f"{key} is the placeholder {value}; give it with --set {key}=PATH")


def _texts(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _texts(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield f"{prefix}{key}", value


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    try:
        import tomli  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ConfigError(
            "Python 3.10 reads configs with the package tomli: pip install tomli"
        ) from None
    return tomli


def _put(table: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {key} is a setting, not a table")
    table[keys[-1]] = value
