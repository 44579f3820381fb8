"""The command line's commands, options and arguments are those recorded in command_line.json."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from causvid_core.cli import main

from ..snapshot import check

SNAPSHOT = Path(__file__).with_name("command_line.json")


class Parsed(Exception):
    """Raised in place of parsing; its argument is the parser."""


def test_commands_and_options_are_the_recorded_ones(parser: argparse.ArgumentParser) -> None:
    check(SNAPSHOT, described(parser))


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    """The parser that the program builds; caught at the moment when it is used."""

    def catch(parser: argparse.ArgumentParser, *arguments: Any, **options: Any) -> None:
        raise Parsed(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", catch)
    with pytest.raises(Parsed) as caught:
        main([])
    return caught.value.args[0]


def described(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """A parser and its commands as plain values: positional arguments in order, options sorted."""
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    commands: dict[str, Any] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands = {name: described(inner) for name, inner in action.choices.items()}
        elif action.option_strings:
            options[name_of(action)] = facts(action)
        else:
            arguments[name_of(action)] = facts(action)
    found: dict[str, Any] = {"arguments": arguments, "options": dict(sorted(options.items()))}
    exclusive = [
        {"required": group.required, "options": sorted(map(name_of, group._group_actions))}
        for group in parser._mutually_exclusive_groups
    ]
    if exclusive:
        found["exclusive"] = exclusive
    if commands:
        found["commands"] = dict(sorted(commands.items()))
    return found


def name_of(action: argparse.Action) -> str:
    """An option's longest flag, or what an argument is stored as."""
    return max(action.option_strings, key=len, default=action.dest)


def facts(action: argparse.Action) -> dict[str, Any]:
    """What an option or argument accepts; not its help text."""
    kind = type(action).__name__.strip("_").removesuffix("Action")
    found = {
        "flags": sorted(action.option_strings),
        "action": {"StoreTrue": "store true", "StoreFalse": "store false"}.get(kind, kind.lower()),
        "type": getattr(action.type, "__name__", "").lstrip("_"),
        "nargs": action.nargs or None,
        "default": None if action.default == argparse.SUPPRESS else plain(action.default),
        "choices": sorted(map(str, action.choices or [])),
        "required": action.required,
    }
    return {name: value for name, value in found.items() if value not in (None, [], "")}


def plain(value: Any) -> Any:
    """The value if JSON has it, else its text."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
