"""Video to Video: SDEdit per block over footage of any length, which is never held whole."""

from typing import Any

from comfy_api.latest import io

from .host.media.footage import FootageSockets
from .host.media.restyling import ENDINGS, HOLD, restyled, show_strength
from .host.schema import advanced, schema
from .host.stream import inputs
from .host.stream.render import lengthen
from .host.stream.request import StreamRequest


class VideoToVideo(inputs.StreamNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_VideoToVideo",
            outputs=[*inputs.stream_outputs(), io.Int.Output("px_frames")],
            inputs=[
                io.Model.Input("model"),
                io.Vae.Input("vae", optional=True),
                *inputs.footage_inputs(),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                inputs.strength_input(),
                inputs.seed_input(),
                inputs.fit_input(),
                advanced(io.Float.Input("seconds", default=0.0, min=0.0, max=86400.0, step=0.1)),
                advanced(io.Float.Input("follow_motion", default=0.0, min=0.0, max=1.0, step=0.05)),
                advanced(io.Combo.Input("ending", options=list(ENDINGS), default=HOLD)),
                *inputs.stream_inputs(),
                *inputs.option_inputs(),
            ],
        )

    @classmethod
    def execute(
        cls, strength: float, fit: str, follow_motion: float, ending: str, **widgets: Any
    ) -> io.NodeOutput:
        sockets, vae = FootageSockets.taken_from(widgets).require_one(), widgets.pop("vae", None)
        request, end = restyled(
            StreamRequest.from_widgets(**widgets),
            sockets,
            vae=vae,
            fit=fit,
            strength=strength,
            follow_motion=follow_motion,
            ending=ending,
        )
        made = lengthen(request)
        show_strength(request, follow_motion)
        return io.NodeOutput(*made.args, end)
