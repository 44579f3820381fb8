"""Streams and latents into images."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core.stream.state import StreamState
from .host.media import tiny_decoders
from .host.media.decoding import FRAMES, WHOLE, decode_latent, decode_stream
from .host.notice import show
from .host.schema import CausVidStream, advanced, blocked, schema
from .host.stream.rendering import GB


class StreamDecode(io.ComfyNode):
    """Decodes a stream, or a LATENT, and goes on seamlessly where it ended before."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_StreamDecode",
            display_name="CausVid Stream Decode",
            description=(
                "Turns a stream, or a video LATENT, into images, a few frames at a time. In a "
                "chain of streams it can give the new frames alone: they join those before "
                "without a seam. Says how much memory the images take before it takes it."
            ),
            search_aliases=["causvid vae decode", "streaming vae", "taehv", "taew2_1", "decode"],
            inputs=[
                CausVidStream.Input("stream", optional=True, tooltip=("The stream to decode.")),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip=("A video LATENT to decode; instead of stream."),
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip=(
                        "The Wan 2.1 VAE, or the one of Load CausVid Mini. Not needed with a "
                        "tiny_decoder."
                    ),
                ),
                io.Combo.Input(
                    "frames",
                    options=list(FRAMES),
                    default=WHOLE,
                    tooltip=(
                        "What IMAGE holds. whole: all frames of the stream. new: those that no CausVid "
                        "Stream Decode before this one has decoded; only they are computed."
                    ),
                ),
                io.Combo.Input(
                    "tiny_decoder",
                    options=tiny_decoders.tiny_names(),
                    default=tiny_decoders.NONE,
                    optional=True,
                    tooltip=(
                        "A taew2_1 or lighttaew2_1 file of models/vae_approx that decodes instead "
                        "of the VAE: many times faster, a little less sharp."
                    ),
                ),
                advanced(
                    io.Float.Input(
                        "decoder_gb",
                        default=2.0,
                        min=0.0,
                        max=1000.0,
                        step=0.1,
                        optional=True,
                        tooltip=(
                            "GB of memory that STREAM may carry for the decoder to go on from. 832x480 "
                            "px take 1.9 GB with the VAE, 0.1 GB with a tiny decoder. What is larger "
                            "is computed again, with the same result."
                        ),
                    )
                ),
            ],
            outputs=[
                io.Image.Output(
                    "image", display_name="IMAGE", tooltip=("The frames, 16 a second.")
                ),
                CausVidStream.Output(
                    "stream_out",
                    display_name="STREAM",
                    tooltip=(
                        "The same stream, which knows what is decoded; for a node that goes on with it."
                    ),
                ),
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
        if (stream is None) == (latent is None):
            found = "neither is" if stream is None else "both are"
            raise ValueError(f"Connect stream or latent, one of them; now {found} connected.")
        if stream is None:
            image, _, text = decode_latent(latent, vae, tiny_decoder)
            state = blocked("CausVid Stream Decode gives a STREAM only for a stream.")
        else:
            budget = round(decoder_gb * GB)
            image, state, text = decode_stream(stream, vae, tiny_decoder, frames, budget)
        show(text)
        return io.NodeOutput(image, state)
