"""A stream straight into a video file, for as long as the disk lasts."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..causvid_core import Recipe
from ..causvid_core.media.writer_codecs import (
    AUTO,
    MOST_QUALITY,
    PIXEL_FORMATS,
    QUALITY,
    VideoSettings,
    checked_settings,
    codecs,
)
from ..causvid_core.stream.geometry import FPS
from ..causvid_core.stream.state import StreamState
from .host.loading.sampling import NOTHING
from .host.media import footage_inputs
from .host.media.decoding import FRAMES, WHOLE
from .host.media.footage_source import Take, take_footage
from .host.media.vae import StreamVAE
from .host.media.video_files import Recording, target, temporary_store, workflow_tags
from .host.notice import show
from .host.schema import advanced, schema
from .host.stream import inputs
from .host.stream.stream_files import check_prefix
from .host.stream.streaming import make_longer, open_stream


class RenderToVideo(io.ComfyNode):
    """Denoises, decodes and writes block by block, in constant memory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_RenderToVideo",
            display_name="CausVid Render to Video",
            description=(
                "Makes video of any length straight into a file in the output folder: every block "
                "is decoded and written while the next one is made, so memory does not grow. The "
                "file plays up to its last frame at any time, even after a crash or Cancel."
            ),
            search_aliases=["causvid long video", "endless", "save video", "hours", "prores"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="A causal Wan 2.1 text-to-video model."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE, or the one of Load CausVid Mini."),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                io.Float.Input(
                    "minutes",
                    default=1.0,
                    min=0.0,
                    max=1440.0,
                    step=0.05,
                    round=0.001,
                    tooltip=(
                        "How much to make, at 16 frames per second, rounded up to whole blocks; with "
                        "a stream connected, how much to add. 0: as long as the footage lasts."
                    ),
                ),
                inputs.seed_input(),
                io.Combo.Input(
                    "codec",
                    options=list(codecs()),
                    tooltip=(
                        "h264 (mp4) plays everywhere. h265 (mp4) is smaller. vp9 (webm) is free of "
                        "patents. prores (mov) is for editing."
                    ),
                ),
                io.Int.Input(
                    "quality",
                    default=QUALITY,
                    min=0,
                    max=MOST_QUALITY,
                    tooltip=(
                        "0 to 100, the same for every codec: 75 looks like the original, 50 makes a "
                        "much smaller file, 100 a very large one."
                    ),
                ),
                io.String.Input(
                    "filename_prefix",
                    default="video/CausVid",
                    tooltip=(
                        "Where in the output folder, and the beginning of the name; a number follows. "
                        "%year%, %month%, %day%, %width% and the like are replaced."
                    ),
                ),
                io.Combo.Input(
                    "frames",
                    options=list(FRAMES),
                    default=WHOLE,
                    tooltip=(
                        "What the file holds when a stream is connected. whole: the stream from its "
                        "beginning. new: what this node adds; it joins the file before without a seam."
                    ),
                ),
                *footage_inputs.footage_inputs("Footage to make over"),
                io.Float.Input(
                    "strength",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "How much of connected footage is replaced: 0 gives it back, 1 ignores it. "
                        "Without footage it does nothing."
                    ),
                ),
                advanced(footage_inputs.fit_input()),
                advanced(
                    io.Float.Input(
                        "fps",
                        default=FPS,
                        min=1.0,
                        max=240.0,
                        step=1.0,
                        tooltip=(
                            "Frames per second at which the file plays. Wan makes 16; another number makes "
                            "motion faster or slower."
                        ),
                    )
                ),
                advanced(
                    io.Combo.Input(
                        "pixel_format",
                        options=list(PIXEL_FORMATS),
                        default=AUTO,
                        tooltip=(
                            "How colours are stored. auto: what every player of the codec opens. 10le: 10 "
                            "bits, finer gradients. 444: full colour resolution."
                        ),
                    )
                ),
                *inputs.stream_inputs(),
                *inputs.option_inputs(),
            ],
            outputs=[
                inputs.stream_outputs()[0],
                io.Video.Output(
                    "video_out", display_name="VIDEO", tooltip=("The file, read when it is used.")
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(
        cls,
        width: int | None,
        height: int | None,
        codec: str | None,
        pixel_format: str | None,
        filename_prefix: str | None,
    ) -> bool | str:
        """Values that are not linked, before anything is queued."""
        try:
            if codec is not None and pixel_format is not None:
                checked_settings(VideoSettings(codec, pixel_format=pixel_format))
            check_prefix("linked" if filename_prefix is None else filename_prefix)
        except ValueError as error:
            return str(error)
        return inputs.check_size(width, height)

    @classmethod
    def execute(
        cls,
        model: Any,
        vae: Any,
        width: int,
        height: int,
        minutes: float,
        seed: int,
        codec: str,
        quality: int,
        filename_prefix: str,
        frames: str,
        strength: float,
        fit: str,
        fps: float,
        pixel_format: str,
        positive: list | None = None,
        prompts: Any = None,
        video: Any = None,
        images: Tensor | None = None,
        latents: dict | None = None,
        recipe: Recipe | None = None,
        stream: StreamState | None = None,
        **options: Any,
    ) -> io.NodeOutput:
        inputs.require_size(width, height)
        settings = checked_settings(VideoSettings(codec, quality, fps, pixel_format))
        decoder = StreamVAE(vae)
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
        state = opened.state
        if state.batch != 1:
            raise ValueError(
                f"The conditioning or the stream holds {state.batch} videos, and a file holds one; "
                "use a node for each."
            )
        longer: dict[str, Any] = {"seconds": 60 * minutes}
        beside = NOTHING
        if video is not None or images is not None or latents is not None:
            take = Take(width, height, fit, strength, 60 * minutes)
            taken = take_footage(opened, take, vae=vae, video=video, images=images, latents=latents)
            beside = taken.beside
            longer = {
                "px_frames": taken.px_frames,
                "source": taken.source,
                "strength": taken.strength,
                "source_id": taken.source_id,
                "note": taken.note,
            }
        elif not minutes:
            raise ValueError("minutes is 0, which means as long as the footage; connect some.")
        recording = Recording(
            target(filename_prefix, codec, width, height),
            settings,
            decoder,
            workflow_tags(cls.hidden.prompt, cls.hidden.extra_pnginfo),
            0 if frames == WHOLE else state.blocks,
        )
        finished = make_longer(
            opened,
            **longer,
            beside=recording.beside(height, width, beside),
            store=temporary_store(),
            listening=recording.listening,
        )
        show(recording.told())
        finished = finished._replace(decoder=recording.memory)
        return io.NodeOutput(finished, recording.video(), ui=recording.shown())
