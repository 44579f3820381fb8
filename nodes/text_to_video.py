"""Text to Video, block by block, as a new stream or the continuation of one."""

from typing import Any

from comfy_api.latest import io

from .host.schema import schema
from .host.stream import inputs
from .host.stream.render import lengthen
from .host.stream.request import StreamRequest


class TextToVideo(inputs.StreamNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_TextToVideo",
            outputs=inputs.stream_outputs(),
            inputs=[
                io.Model.Input("model"),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                inputs.seconds_input(),
                inputs.seed_input(),
                inputs.px_frames_input(),
                *inputs.stream_inputs(),
                *inputs.option_inputs(),
            ],
        )

    @classmethod
    def execute(cls, **widgets: Any) -> io.NodeOutput:
        return lengthen(StreamRequest.from_widgets(**widgets))
