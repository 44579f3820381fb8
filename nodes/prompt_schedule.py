"""Prompt Schedule: prompts that change over time, from one text."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core.prompts import parse_schedule
from .host.prompts import schedule
from .host.schema import schema

EXAMPLE = """\
0: a red circle moving left over a navy background
3s ~1s: a blue square moving right over a navy background"""


class PromptSchedule(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_PromptSchedule",
            outputs=schedule.schedule_outputs(),
            inputs=[
                io.Clip.Input("clip"),
                io.String.Input("text", multiline=True, default=EXAMPLE),
                *schedule.schedule_inputs(),
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None, scene_seconds: float | None) -> bool | str:
        """A text that is not linked, before anything is queued."""
        return schedule.check_text(parse_schedule, text, scene_seconds)

    @classmethod
    def execute(cls, clip: Any, text: str, scene_seconds: float, **defaults: Any) -> io.NodeOutput:
        found = schedule.schedule_of_text(clip, text, scene_seconds)
        return schedule.schedule_output(*found, scene_seconds=scene_seconds, **defaults)
