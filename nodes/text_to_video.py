"""Text to video, block by block, as a new stream or the continuation of one."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core import Recipe, start
from ..causvid_core.stream import geometry
from ..causvid_core.stream.state import StreamState
from .host.conditioning import text_context
from .host.notice import show
from .host.rendering import continue_stream, to_latent
from .host.sampling import bind_model
from .host.schema import CausVidRecipe, CausVidStream, advanced, schema
from .host.streams import cache_note, continuable, count_blocks, default_recipe

PX_STEP = 16  # a latent is 8 px, the transformer's patch 2 latents


class TextToVideo(io.ComfyNode):
    """Rolls a causal Wan MODEL out over a text prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_TextToVideo",
            display_name="CausVid Text to Video",
            description=(
                "Makes video from text with a causal Wan 2.1 model, block by block with a KV "
                "cache. Takes any Wan MODEL, with LoRA or fp8; shows every frame while it is "
                "made. Decode the LATENT with VAE Decode."
            ),
            search_aliases=["causvid", "t2v", "self forcing", "causal wan", "streaming video"],
            inputs=[
                io.Model.Input("model", tooltip="A causal Wan 2.1 text-to-video model."),
                io.Conditioning.Input("positive", tooltip=(
                    "The prompt, from CLIP Text Encode. There is no negative prompt: these "
                    "models are made to work without CFG."
                )),
                io.Int.Input("width", default=832, min=PX_STEP, max=4096, step=PX_STEP, tooltip=(
                    "Px, a multiple of 16. 832x480 for the 1.3B models, 64x64 for the Mini."
                )),
                io.Int.Input("height", default=480, min=PX_STEP, max=4096, step=PX_STEP, tooltip=(
                    "Px, a multiple of 16."
                )),
                io.Float.Input("seconds", default=5.0, min=0.1, max=3600.0, step=0.1, tooltip=(
                    "Length at 16 frames per second, rounded up to whole blocks. With a stream "
                    "connected: how much to add to it."
                )),
                io.Int.Input(
                    "seed", default=0, min=0, max=2**64 - 1, control_after_generate=True, tooltip=(
                        "Decides the noise, the same on every device. A connected stream keeps "
                        "its own seed."
                    ),
                ),
                advanced(io.Int.Input("px_frames", default=0, min=0, max=100000, tooltip=(
                    "Length in frames of video, rounded up to whole blocks. 0: from seconds."
                ))),
                CausVidRecipe.Input("recipe", optional=True, tooltip=(
                    "How the MODEL is sampled. Without one: the recipe of the loaded checkpoint."
                )),
                CausVidStream.Input("stream", optional=True, tooltip=(
                    "A stream to continue. Model, recipe and size must be those it was made with."
                )),
            ],
            outputs=[
                CausVidStream.Output("stream_out", display_name="STREAM", tooltip=(
                    "The stream up to here, to be continued by another node."
                )),
                io.Latent.Output("latent", display_name="LATENT", tooltip=(
                    "The whole stream up to here, for VAE Decode."
                )),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, width: int | None, height: int | None) -> bool | str:
        """Sizes that are not linked, before anything is queued."""
        for name, px in (("width", width), ("height", height)):
            if px is not None and (px < PX_STEP or px % PX_STEP):
                near = max(1, round(px / PX_STEP)) * PX_STEP
                return f"{name} is {px} px; use a multiple of {PX_STEP}, such as {near}."
        return True

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: list,
        width: int,
        height: int,
        seconds: float,
        seed: int,
        px_frames: int,
        recipe: Recipe | None = None,
        stream: StreamState | None = None,
    ) -> io.NodeOutput:
        valid = cls.validate_inputs(width, height)
        if valid is not True:
            raise ValueError(valid)
        bound = bind_model(model)
        context = text_context(positive, bound.config.text_dim)
        size = (geometry.latent_size_from_px(height), geometry.latent_size_from_px(width))
        if stream is None:
            recipe = recipe or default_recipe(model)
            state = start(
                recipe, bound, height=size[0], width=size[1], batch=context.shape[0], seed=seed
            )
        else:
            state = continuable(stream, bound, recipe, size, context.shape[0])
        px_frames = px_frames or geometry.px_frames_from_seconds(seconds)
        blocks, text = count_blocks(state, px_frames)
        show(text)
        state = continue_stream(model, bound, state, context, blocks)
        show(f"{text}. {cache_note(state)}")
        return io.NodeOutput(state, to_latent(model, state))
