"""Text to video, block by block, as a new stream or the continuation of one."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core import Recipe
from ..causvid_core.stream.state import StreamState
from .host.schema import schema
from .host.stream import inputs
from .host.stream.streaming import lengthen, open_stream


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
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                inputs.seconds_input(),
                inputs.seed_input(),
                inputs.px_frames_input(),
                *inputs.stream_inputs(),
                *inputs.option_inputs(),
            ],
            outputs=inputs.stream_outputs(),
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
        seconds: float,
        seed: int,
        px_frames: int,
        positive: list | None = None,
        prompts: Any = None,
        recipe: Recipe | None = None,
        stream: StreamState | None = None,
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
            stream=stream,
            options=inputs.StreamOptions(**options),
        )
        return lengthen(opened, seconds=seconds, px_frames=px_frames)
