"""Render to Video: denoises, decodes and writes a file block by block, in constant memory."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core import media
from ..causvid_core.stream.geometry import FPS
from .host.files import check_prefix
from .host.media.footage import FootageSockets, own_rate
from .host.media.recording import Recording
from .host.media.restyling import restyled
from .host.media.vae import StreamVAE
from .host.messages import message
from .host.notice import show
from .host.schema import advanced, schema, verdict
from .host.stream import inputs
from .host.stream.render import render
from .host.stream.request import StreamRequest


class RenderToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_RenderToVideo",
            outputs=[inputs.stream_outputs()[0], io.Video.Output("video_out")],
            is_output_node=True,
            inputs=[
                io.Model.Input("model"),
                io.Vae.Input("vae"),
                *inputs.prompt_inputs(),
                *inputs.size_inputs(),
                io.Float.Input("minutes", default=1.0, min=0.0, max=1440.0, step=0.05, round=0.001),
                inputs.seed_input(),
                io.Combo.Input("codec", options=list(media.codecs())),
                io.Int.Input("quality", default=media.QUALITY, min=0, max=media.MOST_QUALITY),
                io.String.Input("filename_prefix", default="video/CausVid"),
                inputs.frames_input(),
                *inputs.footage_inputs(),
                inputs.strength_input(),
                advanced(inputs.fit_input()),
                advanced(io.Float.Input("fps", default=FPS, min=1.0, max=240.0, step=1.0)),
                advanced(
                    io.Combo.Input(
                        "pixel_format", options=list(media.PIXEL_FORMATS), default=media.AUTO
                    )
                ),
                *inputs.stream_inputs(),
                *inputs.option_inputs(),
                advanced(io.Boolean.Input("keep_rate", default=False, optional=True)),
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

        def check() -> None:
            if codec is not None and pixel_format is not None:
                media.checked_settings(media.VideoSettings(codec, pixel_format=pixel_format))
            if filename_prefix is not None:
                check_prefix(filename_prefix)
            inputs.check_size(width, height)

        return verdict(check)

    @classmethod
    def execute(
        cls,
        vae: Any,
        minutes: float,
        codec: str,
        quality: int,
        filename_prefix: str,
        frames: str,
        strength: float,
        fit: str,
        fps: float,
        pixel_format: str,
        keep_rate: bool = False,
        **widgets: Any,
    ) -> io.NodeOutput:
        sockets, decoder = FootageSockets.taken_from(widgets), StreamVAE(vae)
        read_fps = FPS
        if keep_rate and sockets.video is not None:
            read_fps = fps = own_rate(sockets.video)
        settings = media.VideoSettings(codec, quality, fps, pixel_format)
        request = StreamRequest.from_widgets(seconds=60 * minutes, **widgets)
        surplus = 0
        if sockets.connected:
            begun = request.state.px_frames
            request, end = restyled(
                request, sockets, vae=vae, fit=fit, strength=strength, fps=read_fps
            )
            surplus = begun + request.px_frames - end
        elif not minutes:
            raise ValueError(message("video.no_minutes"))
        recording = Recording(
            request,
            decoder,
            settings,
            prefix=filename_prefix,
            frames=frames,
            hidden=cls.hidden,
            surplus=surplus,
        )
        finished = render(recording.recorded(request))._replace(decoder=recording.memory)
        show(recording.summary())
        return io.NodeOutput(finished, recording.video(), ui=recording.shown())
