"""Prompts that come from up to eight CONDITIONINGs, each with a time."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from torch import Tensor

from ....causvid_core.prompts import Entry, parse_times
from ..messages import message
from .conditioning import plain_prompt
from .problems import translated_problems

SOCKETS = tuple(f"prompt_{number}" for number in range(1, 9))


def schedule_of_sockets(
    sockets: dict[str, Any], times: str, scene_seconds: float
) -> tuple[Sequence[Entry], dict[str, Tensor]]:
    """An entry for each connected socket, at the times of the text, and the sockets' embeddings."""
    contexts = _contexts(sockets)
    with translated_problems():
        entries = parse_times(times, scene_seconds) or (Entry(None, ()),) * len(contexts)
    if len(entries) != len(contexts):
        raise ValueError(message("travel.other_count", lines=len(entries), prompts=len(contexts)))
    first_with: dict[int, str] = {}  # one prompt on two sockets is one prompt
    for name, context in contexts.items():
        first_with.setdefault(id(context), name)
    names = [first_with[id(context)] for context in contexts.values()]
    return tuple(
        replace(entry, prompts=((name, Fraction(1)),))
        for entry, name in zip(entries, names, strict=True)
    ), contexts


def _contexts(sockets: dict[str, Any]) -> dict[str, Tensor]:
    """The embedding of every connected socket. ValueError naming one that is no plain prompt."""
    contexts = {}
    for name in SOCKETS:
        if sockets.get(name) is None:
            continue
        try:
            contexts[name] = plain_prompt(sockets[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if contexts[name] is None:
            raise ValueError(message("travel.no_embedding", name=name))
    if not contexts:
        raise ValueError(message("travel.none"))
    return contexts
