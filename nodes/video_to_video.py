"""Video to video: footage taken in block by block, noised to a strength and denoised again."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..causvid_core import Recipe
from ..causvid_core.media.motion import MotionStrength
from ..causvid_core.stream.state import StreamState
from .host.media import footage_inputs
from .host.media.footage_source import ENDINGS, HOLD, Take, take_footage
from .host.notice import show
from .host.schema import advanced, schema
from .host.stream import inputs
from .host.stream.streaming import lengthen, open_stream


class VideoToVideo(io.ComfyNode):
    """SDEdit per block over footage of any length, which is never held whole."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_VideoToVideo",
            display_name="CausVid Video to Video",
            description=(
                "Makes footage over under a prompt, block by block for as long as it lasts. "
                "strength says how much of it is replaced; what moves and where stays the "
                "footage's. Takes VIDEO, IMAGE or LATENT."
            ),
            search_aliases=["causvid", "v2v", "sdedit", "restyle", "vid2vid", "streamdiffusion"],
            inputs=[
                io.Model.Input("model", tooltip="A causal Wan 2.1 text-to-video model."),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip=("The Wan 2.1 VAE that encodes video or images; latents need none."),
                ),
                *footage_inputs.footage_inputs("The footage"),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                io.Float.Input(
                    "strength",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "The noise level from which every block is made again. 0 gives the footage "
                        "back, 1 ignores it. 0.4 changes surfaces, 0.7 most things but where they "
                        "are, 0.9 keeps little more than light and place."
                    ),
                ),
                inputs.seed_input(),
                footage_inputs.fit_input(),
                advanced(
                    io.Float.Input(
                        "seconds",
                        default=0.0,
                        min=0.0,
                        max=86400.0,
                        step=0.1,
                        tooltip=(
                            "At most so much of the footage, rounded up to whole blocks. 0: all of it."
                        ),
                    )
                ),
                advanced(
                    io.Float.Input(
                        "follow_motion",
                        default=0.0,
                        min=0.0,
                        max=1.0,
                        step=0.05,
                        tooltip=(
                            "Lowers the strength of blocks that move: fast motion keeps its path and "
                            "leaves no ghosts. At 1 the fastest motion halves the strength; 0.5 is "
                            "StreamDiffusionV2's range. 0: the same strength throughout."
                        ),
                    )
                ),
                advanced(
                    io.Combo.Input(
                        "ending",
                        options=list(ENDINGS),
                        default=HOLD,
                        tooltip=(
                            "What happens to frames at the end that fill no whole block. repeat last "
                            "frame: nothing is lost, and PX_FRAMES says where the footage ends. cut off: "
                            "they are left out."
                        ),
                    )
                ),
                *inputs.stream_inputs(),
                *inputs.option_inputs(),
            ],
            outputs=[
                *inputs.stream_outputs(),
                io.Int.Output(
                    "px_frames",
                    display_name="PX_FRAMES",
                    tooltip=(
                        "Frames of the stream up to the end of the footage, without the repeated ones."
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
        width: int,
        height: int,
        strength: float,
        seed: int,
        fit: str,
        seconds: float,
        follow_motion: float,
        ending: str,
        vae: Any = None,
        video: Any = None,
        images: Tensor | None = None,
        latents: dict | None = None,
        positive: list | None = None,
        prompts: Any = None,
        recipe: Recipe | None = None,
        stream: StreamState | None = None,
        **options: Any,
    ) -> io.NodeOutput:
        inputs.require_size(width, height)
        footage_inputs.one_of(video, images, latents)
        opened = open_stream(
            model,
            width=width,
            height=height,
            seed=seed,
            positive=positive,
            prompts=prompts,
            recipe=recipe,
            stream=stream,
            options=inputs.StreamOptions(**options),
        )
        take = Take(width, height, fit, strength, seconds, follow_motion, ending)
        taken = take_footage(opened, take, vae=vae, video=video, images=images, latents=latents)
        made = lengthen(
            opened,
            px_frames=taken.px_frames,
            source=taken.source,
            strength=taken.strength,
            source_id=taken.source_id,
            beside=taken.beside,
            note=taken.note,
        )
        if isinstance(taken.strength, MotionStrength) and follow_motion:
            used = f"{min(taken.strength.used):.2f} to {max(taken.strength.used):.2f}"
            show(f"{taken.note}. Strength followed the motion, {used}")
        return io.NodeOutput(*made.args, taken.end_px)
