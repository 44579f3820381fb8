"""Load CausVid Mini: the three parts of the small model that comes with the pack."""

from comfy_api.latest import io

from ..causvid_core.mini import LATENT_RGB_BIAS, LATENT_RGB_FACTORS, weights_path
from .host.loading.models import load_model_file, load_vae, set_preview_colours, tag
from .host.prompts.mini_clip import load_mini_clip
from .host.schema import schema


class LoadMini(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_LoadMini",
            outputs=[io.Model.Output("model"), io.Clip.Output("clip"), io.Vae.Output("vae")],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        model = tag(load_model_file(weights_path("dit")), "causvid-mini")
        set_preview_colours(model, LATENT_RGB_FACTORS, LATENT_RGB_BIAS)
        return io.NodeOutput(model, load_mini_clip(), load_vae(weights_path("vae")))
