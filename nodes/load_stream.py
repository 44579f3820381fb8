"""A stream from a file."""

from comfy_api.latest import io

from .host.notice import show
from .host.schema import CausVidStream, schema
from .host.stream.stream_files import identity, load, stream_names, stream_path
from .host.stream.stream_info import headline


class LoadStream(io.ComfyNode):
    """Reads what Save CausVid Stream wrote, and checks every byte of it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_LoadStream",
            display_name="Load CausVid Stream",
            description=(
                "Opens a stream file from the output or the input folder, to go on with the "
                "video in it. The MODEL that continues it must be the one that made it."
            ),
            search_aliases=["causvid load", "load state", "resume", "continue video"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=stream_names(),
                    tooltip=(
                        "A stream file, the newest first; [output] marks those in the output folder. "
                        "Press R after saving or copying one."
                    ),
                )
            ],
            outputs=[
                CausVidStream.Output(
                    "stream",
                    display_name="STREAM",
                    tooltip="The stream, for a node that continues it.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        """A name that is not linked, before anything is queued."""
        try:
            if file is not None:
                stream_path(file)
        except (OSError, ValueError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None) -> str:
        """Changes when the file does; a linked name arrives as None and speaks for itself."""
        return identity(file) if file else ""

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        stream = load(file)
        show(headline(stream))
        return io.NodeOutput(stream)
