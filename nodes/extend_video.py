"""Goes on from existing footage: its end is encoded into the window of a new stream."""

from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..causvid_core import Recipe, prime
from ..causvid_core.media.encoding import fitted
from ..causvid_core.stream import geometry
from ..causvid_core.stream.lengths import px_of
from ..causvid_core.stream.window import WindowPolicy
from .host.media import footage_inputs
from .host.media.vae import StreamVAE
from .host.media.video_input import footage
from .host.schema import advanced, schema
from .host.stream import inputs
from .host.stream.streaming import lengthen, open_stream

AUTO_SECONDS = 2.0  # of context for a recipe that keeps everything
DECODED_BEFORE = 2  # latent frames that a piece of a LATENT is decoded after, to be as in the whole


class ExtendVideo(io.ComfyNode):
    """Starts a stream with the end of footage."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_ExtendVideo",
            display_name="CausVid Extend Video",
            description=(
                "Goes on from existing footage under a prompt: its last seconds are encoded into "
                "the window of a new stream, and the model continues them. OVERLAP says how many "
                "frames at the start are the footage's own."
            ),
            search_aliases=["causvid", "continue video", "video extension", "longer video"],
            inputs=[
                io.Model.Input("model", tooltip="A causal Wan 2.1 text-to-video model."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE, which encodes the footage."),
                *footage_inputs.footage_inputs("The footage to go on from"),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                io.Float.Input(
                    "seconds",
                    default=5.0,
                    min=0.1,
                    max=3600.0,
                    step=0.1,
                    tooltip=(
                        "How much to add, at 16 frames per second, rounded up to whole blocks."
                    ),
                ),
                inputs.seed_input(),
                footage_inputs.fit_input(),
                advanced(
                    io.Float.Input(
                        "context_seconds",
                        default=0.0,
                        min=0.0,
                        max=600.0,
                        step=0.1,
                        tooltip=(
                            "At most so much of the end of the footage is looked at. 0: as much as the "
                            "window of the recipe holds, or 2 seconds where it keeps everything."
                        ),
                    )
                ),
                inputs.px_frames_input(),
                inputs.recipe_input(),
                *inputs.option_inputs(),
            ],
            outputs=[
                *inputs.stream_outputs(),
                io.Int.Output(
                    "overlap",
                    display_name="OVERLAP",
                    tooltip=(
                        "Frames at the start of the stream that the footage has already; the frames "
                        "after them are new."
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
        width: int,
        height: int,
        seconds: float,
        seed: int,
        fit: str,
        context_seconds: float,
        px_frames: int,
        video: Any = None,
        images: Tensor | None = None,
        latents: dict | None = None,
        positive: list | None = None,
        prompts: Any = None,
        recipe: Recipe | None = None,
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
            options=inputs.StreamOptions(**options),
        )
        encoder = StreamVAE(vae)
        if latents is not None:
            given = footage_inputs.given_latents(model, latents, opened.state)
            there, text = geometry.px_frames_from_latent(given.shape[2]), "LATENT"
        else:
            clip = footage(video, images)
            there, text = clip.px_frames, clip.text
        overlap = context_px(WindowPolicy.of(opened.state.recipe), there, context_seconds)
        if latents is not None:
            tail = latent_tail(given, overlap, encoder)
        else:
            frames = clip.read(max(0, there - overlap))
            tail = encoder.encode(filled(list(fitted(frames, width, height, fit)), overlap))
        state = prime(opened.bound, opened.state, opened.context, tail)
        made = lengthen(
            replace(opened, state=state),
            seconds=seconds,
            px_frames=px_frames,
            note=f"{text}, {_told(overlap, there)}",
        )
        return io.NodeOutput(*made.args, overlap)


def _told(overlap: int, there: int) -> str:
    if overlap > there:
        return f"the first one repeated {overlap - there} times to fill a block"
    return f"of which the last {overlap} are gone on from"


def context_px(policy: WindowPolicy, there: int, seconds: float) -> int:
    """Px frames of the newest whole blocks to look at, of `there` that there are; at least one.

    As many as the window holds beside the block to make, and not more than `seconds` unless 0.
    """
    if not seconds and policy.window is None:
        seconds = AUTO_SECONDS
    most = min(there, geometry.px_frames_from_seconds(seconds)) if seconds else there

    def fits(blocks: int) -> bool:
        held = policy.window is None or policy.span(blocks).end <= policy.window
        return held and px_of(policy, 0, blocks) <= most

    blocks = 1
    while fits(blocks + 1):
        blocks += 1
    return px_of(policy, 0, blocks)


def latent_tail(latents: Tensor, px_frames: int, vae: StreamVAE) -> Tensor:
    """The end of latents `[B, 16, T, h, w]` as a video of its own, `px_frames` long.

    A video's first latent frame stands for one px frame, the others for four; so a piece is
    decoded and encoded again, unless it is the whole.
    """
    frames = geometry.latent_frames_from_px(px_frames)
    if frames == latents.shape[2]:
        return latents
    pieces = []
    for sample in latents[:, :, -(frames + DECODED_BEFORE) :].split(1):
        pieces.append(vae.encode(filled(list(vae.decode(sample)), px_frames)))
    return torch.cat(pieces)


def filled(frames: list[Tensor], count: int) -> Tensor:
    """The last `count` of frames `[H, W, 3]` in one tensor, the first repeated where they lack."""
    return torch.stack([*frames[:1] * (count - len(frames)), *frames[-count:]])
