"""CausVid Mini: the small model inside the pack."""

from comfy_api.latest import io

from ..causvid_core.mini import weights_path
from ..causvid_core.mini.preview import LATENT_RGB_BIAS, LATENT_RGB_FACTORS
from .host.loading.clip import load_mini_clip
from .host.loading.models import load_model_file, load_vae, set_preview_colours, tag
from .host.schema import schema


class LoadMini(io.ComfyNode):
    """Loads the three parts of the Mini, which come with the pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_LoadMini",
            display_name="Load CausVid Mini",
            description=(
                "The small causal video model inside this pack: 64x64 px at 16 fps, on any "
                "computer, without a download. It knows moving shapes; the help page lists its "
                "words."
            ),
            search_aliases=["causvid", "mini", "small video model", "test model"],
            inputs=[],
            outputs=[
                io.Model.Output("model", display_name="MODEL", tooltip="The causal transformer."),
                io.Clip.Output("clip", display_name="CLIP", tooltip="Its text encoder."),
                io.Vae.Output("vae", display_name="VAE", tooltip="Its video VAE, in Wan's format."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        model = tag(load_model_file(weights_path("dit")), "causvid-mini")
        set_preview_colours(model, LATENT_RGB_FACTORS, LATENT_RGB_BIAS)
        return io.NodeOutput(model, load_mini_clip(), load_vae(weights_path("vae")))
