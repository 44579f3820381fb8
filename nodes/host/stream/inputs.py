"""Inputs and outputs that several nodes share; each is written once, here."""

from typing import Any

from comfy_api.latest import io

from ....causvid_core.media import FITS
from ....causvid_core.stream import SWITCHES
from ....causvid_core.stream.geometry import PX_STEP, is_px_size, px_near
from ..messages import message
from ..schema import CausVidPrompts, CausVidRecipe, CausVidStream, advanced, verdict

GB, MB = 10**9, 10**6
EXACT, INT8, RECOMPUTE = KEEP_CACHE = ("exact", "int8", "recompute")
WHOLE, NEW = FRAMES = ("whole", "new")


class StreamNode(io.ComfyNode):
    """A node that makes a stream from the inputs of this module."""

    @classmethod
    def validate_inputs(cls, width: int | None, height: int | None) -> bool | str:
        """Sizes that are not linked, before anything is queued."""
        return verdict(check_size, width, height)


def prompt_inputs() -> list[Any]:
    """`positive` and `prompts`, of which a stream needs one."""
    return [
        io.Conditioning.Input("positive", optional=True),
        CausVidPrompts.Input("prompts", optional=True),
    ]


def size_inputs() -> list[Any]:
    """`width` and `height` in px; see `check_size`."""
    return [
        io.Int.Input("width", default=832, min=PX_STEP, max=4096, step=PX_STEP),
        io.Int.Input("height", default=480, min=PX_STEP, max=4096, step=PX_STEP),
    ]


def seconds_input() -> Any:
    """`seconds`, the length in the artist's unit."""
    return io.Float.Input("seconds", default=5.0, min=0.1, max=3600.0, step=0.1)


def seed_input() -> Any:
    """`seed`."""
    return io.Int.Input("seed", default=0, min=0, max=2**64 - 1, control_after_generate=True)


def px_frames_input() -> Any:
    """`px_frames`, which replaces seconds unless it is 0."""
    return advanced(io.Int.Input("px_frames", default=0, min=0, max=100000))


def recipe_input() -> Any:
    """`recipe`, optional."""
    return CausVidRecipe.Input("recipe", optional=True)


def stream_inputs() -> list[Any]:
    """`recipe` and `stream`, both optional."""
    return [recipe_input(), CausVidStream.Input("stream", optional=True)]


def option_inputs() -> list[Any]:
    """The last widgets of a node that makes a stream; more are only ever appended."""
    return [
        io.Combo.Input("switch", options=list(SWITCHES), default=SWITCHES[0], optional=True),
        advanced(
            io.Combo.Input("keep_cache", options=list(KEEP_CACHE), default=EXACT, optional=True)
        ),
        advanced(memory_input("cache_gb", default=1.0)),
        advanced(io.Boolean.Input("allow_changes", default=False, optional=True)),
        advanced(io.Int.Input("checkpoint_blocks", default=0, min=0, max=10000, optional=True)),
    ]


def memory_input(name: str, default: float) -> Any:
    """GB of memory."""
    return io.Float.Input(name, default=default, min=0.0, max=1000.0, step=0.1, optional=True)


def footage_inputs() -> list[Any]:
    """The sockets VIDEO, IMAGE and LATENT, of which one is connected."""
    return [
        io.Video.Input("video", optional=True),
        io.Image.Input("images", optional=True),
        io.Latent.Input("latents", optional=True),
    ]


def fit_input() -> Any:
    """`fit`, for pictures of another size."""
    return io.Combo.Input("fit", options=list(FITS), default=FITS[0])


def strength_input() -> Any:
    """`strength`, of noise on footage."""
    return io.Float.Input("strength", default=0.7, min=0.0, max=1.0, step=0.01)


def frames_input() -> Any:
    """`frames`: all of a stream, or its new ones."""
    return io.Combo.Input("frames", options=list(FRAMES), default=WHOLE)


def stream_outputs() -> list[Any]:
    """STREAM and LATENT, as `lengthen` returns them."""
    return [CausVidStream.Output("stream_out"), io.Latent.Output("latent")]


def check_size(width: int | None, height: int | None) -> None:
    """Raises ValueError for a size that no Wan model takes; None is not yet known."""
    for name, px in (("width", width), ("height", height)):
        if px is not None and not is_px_size(px):
            near = px_near(px, PX_STEP)
            raise ValueError(
                message("size.not_a_multiple", name=name, px=px, step=PX_STEP, near=near)
            )
