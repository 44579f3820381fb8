"""The inputs that every node which makes a stream shares, and what their widgets come to."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from comfy_api.latest import io

from ....causvid_core.stream.geometry import PX_STEP, is_px_size, px_near
from ....causvid_core.stream.segment import SWITCHES
from ..schema import CausVidPrompts, CausVidRecipe, CausVidStream, advanced
from .rendering import EXACT, GB, KEEP_CACHE, Keeping


class StreamOptions(NamedTuple):
    """The widgets of `option_inputs`; a node passes its further keywords on to it.

    switch: what happens to what the stream remembers when its prompt changes. keep_cache,
    cache_gb: what of its keys and values a stream takes along. allow_changes: whether a stream
    may go on with another model or recipe. checkpoint_blocks: how often a render that may be
    killed writes down how far it came.
    """

    switch: str = SWITCHES[0]
    keep_cache: str = EXACT
    cache_gb: float = 1.0
    allow_changes: bool = False
    checkpoint_blocks: int = 0

    @property
    def keeping(self) -> Keeping:
        """The same for `continue_stream`."""
        return Keeping(self.keep_cache, round(self.cache_gb * GB))


def prompt_inputs() -> list[Any]:
    """`positive` and `prompts`, of which a stream needs one."""
    return [
        io.Conditioning.Input(
            "positive",
            optional=True,
            tooltip=(
                "The prompt, from CLIP Text Encode. There is no negative prompt: these models are "
                "made to work without CFG."
            ),
        ),
        CausVidPrompts.Input(
            "prompts",
            optional=True,
            tooltip=(
                "Prompts that change on the way, from CausVid Prompt Schedule or Prompt Travel; "
                "instead of positive."
            ),
        ),
    ]


def size_inputs() -> list[Any]:
    """`width` and `height` in px; see `check_size`."""
    return [
        io.Int.Input(
            "width",
            default=832,
            min=PX_STEP,
            max=4096,
            step=PX_STEP,
            tooltip=("Px, a multiple of 16. 832x480 for the 1.3B models, 64x64 for the Mini."),
        ),
        io.Int.Input(
            "height",
            default=480,
            min=PX_STEP,
            max=4096,
            step=PX_STEP,
            tooltip=("Px, a multiple of 16."),
        ),
    ]


def seconds_input() -> Any:
    """`seconds`, the length in the artist's unit."""
    return io.Float.Input(
        "seconds",
        default=5.0,
        min=0.1,
        max=3600.0,
        step=0.1,
        tooltip=(
            "Length at 16 frames per second, rounded up to whole blocks. With a stream connected: "
            "how much to add to it."
        ),
    )


def seed_input() -> Any:
    """`seed`."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=2**64 - 1,
        control_after_generate=True,
        tooltip=(
            "Decides the noise, the same on every device. A connected stream keeps its own seed."
        ),
    )


def px_frames_input() -> Any:
    """`px_frames`, which replaces seconds unless it is 0."""
    return advanced(
        io.Int.Input(
            "px_frames",
            default=0,
            min=0,
            max=100000,
            tooltip=("Length in frames of video, rounded up to whole blocks. 0: from seconds."),
        )
    )


def recipe_input() -> Any:
    """`recipe`, optional."""
    return CausVidRecipe.Input(
        "recipe",
        optional=True,
        tooltip=("How the MODEL is sampled. Without one: the recipe of the loaded checkpoint."),
    )


def stream_inputs() -> list[Any]:
    """`recipe` and `stream`, both optional."""
    return [
        recipe_input(),
        CausVidStream.Input(
            "stream",
            optional=True,
            tooltip=(
                "A stream to continue. Model, recipe and size must be those it was made with."
            ),
        ),
    ]


def option_inputs() -> list[Any]:
    """The widgets of `StreamOptions`, the last ones of a node; more are only ever appended."""
    return [
        io.Combo.Input(
            "switch",
            options=list(SWITCHES),
            default=SWITCHES[0],
            optional=True,
            tooltip=(
                "What happens to what the stream remembers when its prompt changes. carry: "
                "nothing, the picture turns to the new prompt by itself. recache: the memory is "
                "rewritten under the new prompt. flush: only the first and the last frames are "
                "kept. cut: a new scene."
            ),
        ),
        advanced(
            io.Combo.Input(
                "keep_cache",
                options=list(KEEP_CACHE),
                default=EXACT,
                optional=True,
                tooltip=(
                    "What STREAM takes along for the node that goes on with it. exact: the cache, up "
                    "to cache_gb. int8: the cache in half the memory, nearly exact. recompute: only "
                    "latents; the cache is computed again, with the same result as exact."
                ),
            )
        ),
        advanced(
            io.Float.Input(
                "cache_gb",
                default=1.0,
                min=0.0,
                max=1000.0,
                step=0.1,
                optional=True,
                tooltip=(
                    "GB of memory that the cache of a STREAM may take; a larger one is recomputed "
                    "when the stream goes on. A 1.3B model at 832x480 takes 0.29 GB for every latent "
                    "frame of the window."
                ),
            )
        ),
        advanced(
            io.Boolean.Input(
                "allow_changes",
                default=False,
                optional=True,
                tooltip=(
                    "Go on with another MODEL, LoRA strength or recipe than the stream was made with. "
                    "What the stream remembers is rewritten with the new one."
                ),
            )
        ),
        advanced(
            io.Int.Input(
                "checkpoint_blocks",
                default=0,
                min=0,
                max=10000,
                optional=True,
                tooltip=(
                    "Every so many blocks the stream is written to causvid/checkpoints in the output "
                    "folder. If ComfyUI is killed, the same graph queued again goes on from there. "
                    "0: never."
                ),
            )
        ),
    ]


def stream_outputs() -> Sequence[Any]:
    """STREAM and LATENT, as `lengthen` returns them."""
    return [
        CausVidStream.Output(
            "stream_out",
            display_name="STREAM",
            tooltip=("The stream up to here, to be continued by another node."),
        ),
        io.Latent.Output(
            "latent",
            display_name="LATENT",
            tooltip=("The whole stream up to here, for VAE Decode."),
        ),
    ]


def check_size(width: int | None, height: int | None) -> bool | str:
    """True, or a sentence about a size that no Wan model takes; None is not yet known."""
    for name, px in (("width", width), ("height", height)):
        if px is not None and not is_px_size(px):
            near = px_near(px, PX_STEP)
            return f"{name} is {px} px; use a multiple of {PX_STEP}, such as {near}."
    return True


def require_size(width: int, height: int) -> None:
    """Raises ValueError for a size that no Wan model takes, which a link may bring."""
    valid = check_size(width, height)
    if valid is not True:
        raise ValueError(valid)
