"""What a stream holds, as text and as a picture."""

from typing import Any

from comfy_api.latest import io, ui

from ..causvid_core.stream.state import StreamState
from .host.notice import show
from .host.schema import CausVidStream, schema
from .host.stream.stream_info import contact_sheet, describe


class StreamInfo(io.ComfyNode):
    """Looks at a stream without changing it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_StreamInfo",
            display_name="CausVid Stream Info",
            description=(
                "Tells what a stream holds: size, length, seed, recipe, which prompt rules which "
                "blocks, and whether its keys and values travel along. Shows the last frame of "
                "every block."
            ),
            search_aliases=["causvid inspect", "contact sheet", "stream text"],
            is_output_node=True,
            inputs=[
                CausVidStream.Input("stream", tooltip="The stream to look at."),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip=(
                        "Decodes the frames of the sheet, which takes a moment. Without it: quick "
                        "pictures of the latents."
                    ),
                ),
            ],
            outputs=[
                io.String.Output("info", display_name="INFO", tooltip="The text."),
                io.Image.Output("sheet", display_name="SHEET", tooltip="The contact sheet."),
            ],
        )

    @classmethod
    def execute(cls, stream: StreamState, vae: Any = None) -> io.NodeOutput:
        text = describe(stream)
        show(text)
        sheet = contact_sheet(stream, vae)
        shown = ui.PreviewImage(sheet, cls=cls).as_dict() | {"text": [text]}
        return io.NodeOutput(text, sheet, ui=shown)
