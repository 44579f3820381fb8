"""Text to video, block by block, as a new stream or the continuation of one."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core import BoundWan, Recipe, recipes, start
from ..causvid_core.stream import geometry
from ..causvid_core.stream.plan import Plan
from ..causvid_core.stream.state import StreamState
from .host.conditioning import text_context
from .host.models import recipe_name
from .host.notice import show
from .host.rendering import continue_stream, to_latent
from .host.sampling import bind_model
from .host.schema import CausVidRecipe, CausVidStream, advanced, schema

PX_STEP = 16  # a latent is 8 px, the transformer's patch 2 latents
DEFAULT_RECIPE = "causvid"


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


def default_recipe(model: Any) -> Recipe:
    """The recipe noted on a MODEL by its loader, or CausVid's with a word about it."""
    name = recipe_name(model)
    if name is None:
        name = DEFAULT_RECIPE
        show(f"This MODEL does not say how it is sampled: using {name}. Connect a CausVid Recipe.")
    return recipes[name]


def continuable(
    stream: StreamState,
    bound: BoundWan,
    recipe: Recipe | None,
    size: tuple[int, int],
    batch: int,
) -> StreamState:
    """The stream, if it can go on with this model, recipe, latent size and number of prompts.

    Raises ValueError saying what differs.
    """
    if size != (stream.height, stream.width):
        scale = geometry.SPACE_SCALE
        raise ValueError(
            f"The stream is {stream.width * scale}x{stream.height * scale} px, but width and "
            f"height say {size[1] * scale}x{size[0] * scale}; set them to the stream's."
        )
    if recipe is not None and recipe != stream.recipe:
        raise ValueError(
            "The stream was started with another recipe than the one connected; disconnect the "
            "recipe, and the stream's own is used."
        )
    if stream.model != bound.fingerprint():
        raise ValueError(
            "The stream was made with another MODEL (or other LoRA strengths, or another weight "
            "dtype); connect the MODEL that started it."
        )
    if batch not in (1, stream.batch):
        raise ValueError(
            f"The conditioning holds {batch} prompts, but the stream {stream.batch} videos; give "
            f"one prompt, or {stream.batch}."
        )
    return stream


def cache_note(state: StreamState) -> str:
    """What a node that continues the stream will find of its keys and values."""
    if state.snapshot is None:
        return "STREAM carries latents; its cache is recomputed when it goes on"
    return f"STREAM carries its cache ({state.snapshot.nbytes / 1e6:.1f} MB)"


def count_blocks(state: StreamState, px_frames: int) -> tuple[int, str]:
    """Blocks that add at least `px_frames` px frames to a stream, and what that comes to."""
    plan = Plan.of(state.recipe)
    before = state.frames
    continued = int(before > 0)  # only the very first px frame has a latent frame of its own
    wanted = geometry.latent_frames_from_px(px_frames + continued) - continued
    blocks = plan.blocks_for(state.blocks, wanted)
    total = plan.frames_before(state.blocks + blocks)
    px = geometry.px_frames_from_latent(total)
    made = px - (geometry.px_frames_from_latent(before) if before else 0)
    counted = "1 block" if blocks == 1 else f"{blocks} blocks"
    text = f"{made} frames ({geometry.seconds_from_px(made):.1f} s) in {counted}"
    if total > before + wanted:
        per_block = plan.frames_per_block
        text += f", rounded up from {px_frames} to whole blocks of {per_block} latent frames"
    if before:
        text += f"; the stream is then {px} frames ({geometry.seconds_from_px(px):.1f} s) long"
    return blocks, text
