"""Downloads a published file, when asked to."""

from comfy_api.latest import io

from ..causvid_core.model.checkpoints import DOWNLOADS
from .host.loading.downloads import download_file
from .host.schema import schema


class DownloadCheckpoint(io.ComfyNode):
    """The only node that uses the network, and only when it runs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_DownloadCheckpoint",
            display_name="Download CausVid Checkpoint",
            description=(
                "Downloads a published checkpoint, VAE or text encoder from Hugging Face into the "
                "models folder it belongs in, and converts .pt files to safetensors. Nothing is "
                "downloaded unless this node runs; a file that is there is not fetched again."
            ),
            search_aliases=["causvid download", "huggingface", "get model"],
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "name",
                    options=list(DOWNLOADS),
                    tooltip=(
                        "What to download; the log and the node name its licence. Cancel stops it, and "
                        "the next run goes on from there."
                    ),
                )
            ],
            outputs=[
                io.String.Output(
                    "file", display_name="FILE", tooltip="Name of the file in its models folder."
                )
            ],
        )

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        return io.NodeOutput(download_file(name).name)
