"""Image to video: the image is the first block of a stream, the model makes the others."""

from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..causvid_core import Recipe, prime
from ..causvid_core.media.fitting import as_rgb
from ..causvid_core.media.fitting import fit as fit_images
from ..causvid_core.stream import geometry
from ..causvid_core.stream.lengths import px_of
from ..causvid_core.stream.window import WindowPolicy
from .host.media import footage_inputs
from .host.media.vae import StreamVAE
from .host.schema import schema
from .host.stream import inputs
from .host.stream.streaming import lengthen, open_stream


class ImageToVideo(io.ComfyNode):
    """Starts a stream with an image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_ImageToVideo",
            display_name="CausVid Image to Video",
            description=(
                "Starts a stream with an image and goes on from it under a prompt. Framewise "
                "checkpoints take it as their first frame, others as a first block that stands "
                "still. Any causal text-to-video MODEL will do."
            ),
            search_aliases=["causvid", "i2v", "image2video", "animate image", "start frame"],
            inputs=[
                io.Model.Input("model", tooltip="A causal Wan 2.1 text-to-video model."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE, which encodes the image."),
                io.Image.Input(
                    "image", tooltip=("The first picture, of any size; of a batch, its first.")
                ),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                inputs.seconds_input(),
                inputs.seed_input(),
                footage_inputs.fit_input(),
                inputs.px_frames_input(),
                inputs.recipe_input(),
                *inputs.option_inputs(),
            ],
            outputs=[
                *inputs.stream_outputs(),
                io.Int.Output(
                    "still_frames",
                    display_name="STILL_FRAMES",
                    tooltip=(
                        "Frames at the start that show the image itself: 1 for framewise checkpoints, "
                        "9 for blocks of 3."
                    ),
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, width: int | None, height: int | None) -> bool | str:
        """Sizes that are not linked, before anything is queued."""
        return inputs.check_size(width, height)

    @classmethod
    def execute(
        cls,
        model: Any,
        vae: Any,
        image: Tensor,
        width: int,
        height: int,
        seconds: float,
        seed: int,
        fit: str,
        px_frames: int,
        positive: list | None = None,
        prompts: Any = None,
        recipe: Recipe | None = None,
        **options: Any,
    ) -> io.NodeOutput:
        inputs.require_size(width, height)
        opened = open_stream(
            model,
            width=width,
            height=height,
            seed=seed,
            positive=positive,
            prompts=prompts,
            recipe=recipe,
            options=inputs.StreamOptions(**options),
        )
        encoder = StreamVAE(vae)
        picture = fit_images(as_rgb(image[:1]), width, height, fit)
        still = px_of(WindowPolicy.of(opened.state.recipe), 0, 1)
        latents = encoder.encode(picture.expand(still, -1, -1, -1))
        state = prime(opened.bound, opened.state, opened.context, latents)
        wanted = px_frames or geometry.px_frames_from_seconds(seconds)
        first = "1 frame shows" if still == 1 else f"{still} frames show"
        made = lengthen(
            replace(opened, state=state),
            seconds=0.0,
            px_frames=max(1, wanted - still),
            note=f"{first} the image",
        )
        return io.NodeOutput(*made.args, still)
