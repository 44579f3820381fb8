"""Download CausVid Checkpoint: the only node that uses the network, and only when it runs."""

from comfy_api.latest import io

from ..causvid_core.model.checkpoints import DOWNLOADS
from .host.loading.downloads import download_file
from .host.schema import schema


class DownloadCheckpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_DownloadCheckpoint",
            outputs=[io.String.Output("file")],
            is_output_node=True,
            inputs=[io.Combo.Input("name", options=list(DOWNLOADS))],
        )

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        return io.NodeOutput(download_file(name).name)
