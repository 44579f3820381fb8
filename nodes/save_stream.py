"""A stream into a file, to go on with it another day."""

from comfy_api.latest import io

from ..causvid_core.stream.state import StreamState
from .host.notice import show
from .host.schema import CausVidStream, schema
from .host.stream.stream_files import CONTENTS, LIGHT, check_prefix, save


class SaveStream(io.ComfyNode):
    """Writes the stream up to here below the output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_SaveStream",
            display_name="Save CausVid Stream",
            description=(
                "Writes a stream to a file in the output folder. Load CausVid Stream goes on with "
                "it another day, with the same result as if it had never been put down."
            ),
            search_aliases=["causvid save", "save state", "checkpoint", "resume"],
            is_output_node=True,
            inputs=[
                CausVidStream.Input("stream", tooltip="The stream to write."),
                io.String.Input(
                    "filename_prefix",
                    default="streams/CausVid",
                    tooltip=(
                        "Where in the output folder, and the beginning of the name; a number follows. "
                        "%year%, %month%, %day%, %width% and the like are replaced."
                    ),
                ),
                io.Combo.Input(
                    "contents",
                    options=list(CONTENTS),
                    default=LIGHT,
                    tooltip=(
                        "light: latents and prompts; what the model remembers is computed again when "
                        "the stream goes on, with the same result. exact: the model's keys and values "
                        "too, which goes on at once and takes a thousand times the room."
                    ),
                ),
            ],
            outputs=[
                CausVidStream.Output(
                    "stream_out", display_name="STREAM", tooltip="The same stream, to go on with."
                )
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None) -> bool | str:
        """A prefix that is not linked, before anything is queued."""
        try:
            check_prefix("linked" if filename_prefix is None else filename_prefix)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, stream: StreamState, filename_prefix: str, contents: str) -> io.NodeOutput:
        hidden = cls.hidden
        saved = save(stream, filename_prefix, contents, hidden.prompt, hidden.extra_pnginfo)
        show(saved.text)
        return io.NodeOutput(stream, ui={"text": [saved.text], "streams": [saved.entry]})
