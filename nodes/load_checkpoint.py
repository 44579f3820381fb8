"""Any published causal Wan checkpoint as a MODEL."""

from comfy_api.latest import io

from ..causvid_core import recipes
from .host.loading.checkpoints import load_checkpoint
from .host.loading.folders import checkpoint_names, checkpoint_path, file_identity
from .host.loading.models import WEIGHT_DTYPES
from .host.schema import advanced, schema

AUTO = "auto"


class LoadCheckpoint(io.ComfyNode):
    """Reads what ComfyUI's own loader does not: original `.pt` files and other layouts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_LoadCheckpoint",
            display_name="Load CausVid Checkpoint",
            description=(
                "Loads a causal Wan 2.1 checkpoint in any published layout (CausVid, "
                "Self-Forcing, Causal Forcing, LongLive, Krea ...), .pt or .safetensors, from "
                "models/diffusion_models or models/causvid."
            ),
            search_aliases=["causvid loader", "self forcing", "wan causal", "load pt"],
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=checkpoint_names(),
                    tooltip=("A file in models/diffusion_models or models/causvid."),
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(WEIGHT_DTYPES),
                    tooltip=(
                        "How the weights are stored. fp8 halves their memory and costs some quality."
                    ),
                ),
                advanced(
                    io.Combo.Input(
                        "sampled_by",
                        options=[AUTO, *recipes],
                        tooltip=(
                            "The recipe that CausVid Text to Video uses unless one is connected to it. "
                            "auto recognises the published checkpoints."
                        ),
                    )
                ),
            ],
            outputs=[
                io.Model.Output(
                    "model",
                    display_name="MODEL",
                    tooltip="For CausVid Text to Video or LoRA nodes.",
                )
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
