"""Prompt Travel: prompts that change over time, from up to eight CONDITIONINGs."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core.prompts import parse_times
from .host.prompts import schedule
from .host.prompts.travel import SOCKETS, schedule_of_sockets
from .host.schema import schema


class PromptTravel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_PromptTravel",
            outputs=schedule.schedule_outputs(),
            inputs=[
                *(io.Conditioning.Input(name, optional=True) for name in SOCKETS),
                io.String.Input("times", multiline=True, default=""),
                *schedule.schedule_inputs(),
            ],
        )

    @classmethod
    def validate_inputs(cls, times: str | None, scene_seconds: float | None) -> bool | str:
        """Times that are not linked, before anything is queued."""
        return schedule.check_text(parse_times, times, scene_seconds)

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
        return schedule.schedule_output(
            *schedule_of_sockets(sockets, times, scene_seconds),
            mode=mode,
            transition=transition,
            interpolation=interpolation,
            scene_seconds=scene_seconds,
        )
