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
            "CausVid_DownloadCheckpoint",
            search_aliases=["causvid download", "huggingface", "get model"],
            is_output_node=True,
            inputs=[io.Combo.Input("name", options=list(DOWNLOADS))],
            outputs=[io.String.Output("file")],
        )

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        return io.NodeOutput(download_file(name).name)
