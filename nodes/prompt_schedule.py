"""Prompts that change on the way, as text."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core.prompts.entries import Defaults
from ..causvid_core.prompts.layout import EncodedSchedule, distinct_texts
from ..causvid_core.prompts.schedule_text import parse_schedule
from .host.notice import show
from .host.schema import schema
from .host.stream.prompting import check_text, encode, schedule_inputs, schedule_outputs, understood

EXAMPLE = """\
0: a red circle moving left over a navy background
3s ~1s: a blue square moving right over a navy background"""


class PromptSchedule(io.ComfyNode):
    """Reads a schedule and encodes each of its texts once."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_PromptSchedule",
            display_name="CausVid Prompt Schedule",
            description=(
                "Prompts that change while a stream is made: one scene a line, with its time in "
                "seconds, frames or blocks. Connect it to prompts of Text to Video and its "
                "relatives."
            ),
            search_aliases=["prompt schedule", "timeline", "scenes", "prompt travel", "storyboard"],
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder that belongs to the MODEL."),
                io.String.Input(
                    "text",
                    multiline=True,
                    default=EXAMPLE,
                    tooltip=(
                        "One scene a line: time ~fade [mode]: prompt. Times: 3s, 1:05, 81f (frames), "
                        "12b (blocks), counted from the beginning of the video. Behind # stands a "
                        "comment. Text without any time is one prompt. The help page tells all."
                    ),
                ),
                *schedule_inputs(),
            ],
            outputs=schedule_outputs(),
        )

    @classmethod
    def validate_inputs(cls, text: str | None, scene_seconds: float | None) -> bool | str:
        """A text that is not linked, before anything is queued."""
        return check_text(parse_schedule, text, scene_seconds)

    @classmethod
    def execute(
        cls,
        clip: Any,
        text: str,
        mode: str,
        transition: float,
        interpolation: str,
        scene_seconds: float,
    ) -> io.NodeOutput:
        entries = parse_schedule(text, scene_seconds).entries
        contexts = {prompt: encode(clip, prompt) for prompt in distinct_texts(entries)}
        defaults = Defaults(mode, transition, scene_seconds)
        prompts = EncodedSchedule(entries, contexts, defaults, interpolation)
        told = understood(prompts)
        show(told)
        return io.NodeOutput(prompts, told)
