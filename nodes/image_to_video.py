"""Image to Video: the image is the first block of a stream, and the model makes the others."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from .host.media.beginning import begun_with_image
from .host.schema import schema
from .host.stream import inputs
from .host.stream.render import lengthen
from .host.stream.request import StreamRequest


class ImageToVideo(inputs.StreamNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_ImageToVideo",
            outputs=[*inputs.stream_outputs(), io.Int.Output("still_frames")],
            inputs=[
                io.Model.Input("model"),
                io.Vae.Input("vae"),
                io.Image.Input("image"),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                inputs.seconds_input(),
                inputs.seed_input(),
                inputs.fit_input(),
                inputs.px_frames_input(),
                inputs.recipe_input(),
                *inputs.option_inputs(),
            ],
        )

    @classmethod
    def execute(cls, vae: Any, image: Tensor, fit: str, **widgets: Any) -> io.NodeOutput:
        request = StreamRequest.from_widgets(**widgets)
        request, still = begun_with_image(request, vae, image, fit)
        return io.NodeOutput(*lengthen(request).args, still)
