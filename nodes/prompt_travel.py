"""Prompts that change on the way, from several CONDITIONINGs."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..causvid_core.prompts.entries import Defaults, Entry
from ..causvid_core.prompts.layout import EncodedSchedule
from ..causvid_core.prompts.schedule_text import parse_times
from .host.notice import show
from .host.schema import schema
from .host.stream.conditioning import plain_prompt
from .host.stream.prompting import check_text, schedule_inputs, schedule_outputs, understood

SOCKETS = tuple(f"prompt_{number}" for number in range(1, 9))


class PromptTravel(io.ComfyNode):
    """Puts a time to each of up to eight prompts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_PromptTravel",
            display_name="CausVid Prompt Travel",
            description=(
                "Travels from prompt to prompt while a stream is made, for prompts that come from "
                "other nodes. CausVid Prompt Schedule does the same from one text."
            ),
            search_aliases=["prompt travel", "prompt schedule", "keyframes", "blend prompts"],
            inputs=[
                *(
                    io.Conditioning.Input(
                        name,
                        optional=True,
                        tooltip=(
                            "A prompt, from CLIP Text Encode. Sockets are followed in their order; empty "
                            "ones are passed over."
                        ),
                    )
                    for name in SOCKETS
                ),
                io.String.Input(
                    "times",
                    multiline=True,
                    default="",
                    placeholder="evenly spaced",
                    tooltip=(
                        "When each prompt begins: one line for each that is connected, such as "
                        "3s ~1s [recache], 1:05, 81f (frames) or 12b (blocks). Empty: one every "
                        "scene_seconds."
                    ),
                ),
                *schedule_inputs(),
            ],
            outputs=schedule_outputs(),
        )

    @classmethod
    def validate_inputs(cls, times: str | None, scene_seconds: float | None) -> bool | str:
        """Times that are not linked, before anything is queued."""
        return check_text(parse_times, times, scene_seconds)

    @classmethod
    def execute(
        cls,
        times: str,
        mode: str,
        transition: float,
        interpolation: str,
        scene_seconds: float,
        **sockets: Any,
    ) -> io.NodeOutput:
        contexts = _contexts(sockets)
        entries = parse_times(times, scene_seconds) or (Entry(None, ()),) * len(contexts)
        if len(entries) != len(contexts):
            raise ValueError(
                f"times has {len(entries)} lines, but {len(contexts)} prompts are connected; give "
                "each prompt a line, or leave times empty to space them evenly."
            )
        first_with: dict[int, str] = {}  # one prompt on two sockets is one prompt
        for name, context in contexts.items():
            first_with.setdefault(id(context), name)
        names = [first_with[id(context)] for context in contexts.values()]
        entries = tuple(
            replace(entry, prompts=((name, Fraction(1)),))
            for entry, name in zip(entries, names, strict=True)
        )
        defaults = Defaults(mode, transition, scene_seconds)
        prompts = EncodedSchedule(entries, contexts, defaults, interpolation)
        told = understood(prompts)
        show(told)
        return io.NodeOutput(prompts, told)


def _contexts(sockets: dict[str, Any]) -> dict[str, Tensor]:
    """The embedding of every connected socket. ValueError naming the one that is no prompt."""
    contexts = {}
    for name in SOCKETS:
        if sockets.get(name) is None:
            continue
        try:
            contexts[name] = plain_prompt(sockets[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if contexts[name] is None:
            raise ValueError(f"{name} holds no embedding; connect CLIP Text Encode directly.")
    if not contexts:
        raise ValueError("No prompt is connected; connect CLIP Text Encode to prompt_1 and others.")
    return contexts
