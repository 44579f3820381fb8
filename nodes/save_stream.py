"""Save CausVid Stream: a stream into a file below the output folder."""

from comfy_api.latest import io

from ..causvid_core.stream import StreamState
from .host.files import check_prefix
from .host.notice import show
from .host.schema import CausVidStream, schema, verdict
from .host.stream.stream_files import CONTENTS, LIGHT, save


class SaveStream(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_SaveStream",
            outputs=[CausVidStream.Output("stream_out")],
            is_output_node=True,
            inputs=[
                CausVidStream.Input("stream"),
                io.String.Input("filename_prefix", default="streams/CausVid"),
                io.Combo.Input("contents", options=list(CONTENTS), default=LIGHT),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None) -> bool | str:
        """A prefix that is not linked, before anything is queued."""
        return filename_prefix is None or verdict(check_prefix, filename_prefix)

    @classmethod
    def execute(cls, stream: StreamState, filename_prefix: str, contents: str) -> io.NodeOutput:
        entry, text = save(stream, filename_prefix, contents, cls.hidden)
        show(text)
        return io.NodeOutput(stream, ui={"text": [text], "streams": [entry]})
