"""Load CausVid Stream: reads what Save CausVid Stream wrote, and checks every byte of it."""

from comfy_api.latest import io

from ..causvid_core.stream import headline
from .host.notice import show
from .host.schema import CausVidStream, schema, verdict
from .host.stream.stream_files import identity, load, stream_names, stream_path


class LoadStream(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_LoadStream",
            outputs=[CausVidStream.Output("stream")],
            inputs=[io.Combo.Input("file", options=stream_names())],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        """A name that is not linked, before anything is queued."""
        return file is None or verdict(stream_path, file)

    @classmethod
    def fingerprint_inputs(cls, file: str | None) -> str:
        """Changes when the file does; a linked name arrives as None and speaks for itself."""
        return identity(file)

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        stream = load(file)
        show(headline(stream))
        return io.NodeOutput(stream)
