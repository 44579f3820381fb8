"""Stream Decode: a stream or a LATENT into images, from where it was decoded before."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core.stream import StreamState
from .host.loading import tiny_decoders
from .host.media.decoding import decode
from .host.notice import show
from .host.schema import CausVidStream, advanced, schema
from .host.stream import inputs


class StreamDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_StreamDecode",
            outputs=[io.Image.Output("image"), CausVidStream.Output("stream_out")],
            inputs=[
                CausVidStream.Input("stream", optional=True),
                io.Latent.Input("latent", optional=True),
                io.Vae.Input("vae", optional=True),
                inputs.frames_input(),
                io.Combo.Input(
                    "tiny_decoder",
                    options=tiny_decoders.tiny_names(),
                    default=tiny_decoders.NONE,
                    optional=True,
                ),
                advanced(inputs.memory_input("decoder_gb", default=2.0)),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, tiny_decoder: str | None = None, **others: Any) -> str:
        """Changes when the file of the tiny decoder does."""
        return tiny_decoders.identity(tiny_decoder)

    @classmethod
    def execute(
        cls,
        frames: str,
        stream: StreamState | None = None,
        latent: Any = None,
        vae: Any = None,
        tiny_decoder: str = tiny_decoders.NONE,
        decoder_gb: float = 2.0,
    ) -> io.NodeOutput:
        image, state, text = decode(stream, latent, vae, tiny_decoder, frames, decoder_gb)
        show(text)
        return io.NodeOutput(image, state)
