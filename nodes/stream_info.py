"""Stream Info: what a stream holds, as text and as a picture."""

from typing import Any

from comfy_api.latest import io, ui

from ..causvid_core.stream import StreamState, describe
from .host.notice import show
from .host.schema import CausVidStream, schema
from .host.stream.stream_info import contact_sheet


class StreamInfo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_StreamInfo",
            outputs=[io.String.Output("info"), io.Image.Output("sheet")],
            is_output_node=True,
            inputs=[CausVidStream.Input("stream"), io.Vae.Input("vae", optional=True)],
        )

    @classmethod
    def execute(cls, stream: StreamState, vae: Any = None) -> io.NodeOutput:
        text = describe(stream)
        show(text)
        sheet = contact_sheet(stream, vae)
        shown = ui.PreviewImage(sheet, cls=cls).as_dict() | {"text": [text]}
        return io.NodeOutput(text, sheet, ui=shown)
