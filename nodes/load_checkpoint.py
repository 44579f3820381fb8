"""Load CausVid Checkpoint: any published causal Wan checkpoint as a MODEL.

Reads what ComfyUI's own loader does not: original `.pt` files and other layouts.
"""

from comfy_api.latest import io

from ..causvid_core import recipes
from .host.files import file_identity
from .host.loading.checkpoints import checkpoint_names, checkpoint_path, load_checkpoint
from .host.loading.models import WEIGHT_DTYPES
from .host.schema import advanced, schema

AUTO = "auto"


class LoadCheckpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_LoadCheckpoint",
            outputs=[io.Model.Output("model")],
            inputs=[
                io.Combo.Input("checkpoint", options=checkpoint_names()),
                io.Combo.Input("weight_dtype", options=list(WEIGHT_DTYPES)),
                advanced(io.Combo.Input("sampled_by", options=[AUTO, *recipes])),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str | None, **others: str | None) -> str:
        """Changes when the file does; a linked name arrives as None and speaks for itself."""
        return file_identity(checkpoint_path(checkpoint)) if checkpoint else ""

    @classmethod
    def execute(cls, checkpoint: str, weight_dtype: str, sampled_by: str) -> io.NodeOutput:
        path = checkpoint_path(checkpoint)
        recipe = None if sampled_by == AUTO else sampled_by
        return io.NodeOutput(load_checkpoint(path, weight_dtype, recipe))
