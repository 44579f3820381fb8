"""Extend Video: the end of footage becomes the start of a new stream."""

from typing import Any

from comfy_api.latest import io

from .host.media.beginning import begun_with_footage
from .host.media.footage import FootageSockets
from .host.schema import advanced, schema
from .host.stream import inputs
from .host.stream.render import lengthen
from .host.stream.request import StreamRequest


class ExtendVideo(inputs.StreamNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_ExtendVideo",
            outputs=[*inputs.stream_outputs(), io.Int.Output("overlap")],
            inputs=[
                io.Model.Input("model"),
                io.Vae.Input("vae"),
                *inputs.footage_inputs(),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                inputs.seconds_input(),
                inputs.seed_input(),
                inputs.fit_input(),
                advanced(
                    io.Float.Input("context_seconds", default=0.0, min=0.0, max=600.0, step=0.1)
                ),
                inputs.px_frames_input(),
                inputs.recipe_input(),
                *inputs.option_inputs(),
            ],
        )

    @classmethod
    def execute(cls, vae: Any, fit: str, context_seconds: float, **widgets: Any) -> io.NodeOutput:
        sockets = FootageSockets.taken_from(widgets).require_one()
        request = StreamRequest.from_widgets(**widgets)
        request, overlap = begun_with_footage(request, sockets, vae, fit, context_seconds)
        return io.NodeOutput(*lengthen(request).args, overlap)
