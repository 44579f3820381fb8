"""Pixels on either side of the latents: VAE and tiny decoders as streams, footage, video files.

The way of a video through the modules, around a stream:

    reading -> footage -> fitting -> encoding -> (stream) -> decoding -> film -> writer

`developing` makes the pictures of what `reading` decodes; `pictures` reads single ones.

The nodes use the names below. Training and the Mini also import the modules that they train or
build on (`vae`, `vae_layers`, `sketch`, `reading`). The rest is private.
"""

from .._lazy import attach

_HOMES = {
    "background_writer": ("VideoWriter",),
    "decoded": ("decode_blocks", "decoder_memory", "latents_to_redecode", "resume_decoder"),
    "decoding": ("StreamDecoder",),
    "encoding": ("as_clip", "encoded_blocks", "fitted"),
    "film": ("Film",),
    "fits": ("FITS",),
    "fitting": ("as_rgb", "fit"),
    "footage": ("Footage", "describe_footage", "footage_file", "frames_in_words", "video_rate"),
    "latent_rgb": ("ColourDecoder",),
    "loading": ("load_vae",),
    "motion": ("MotionStrength",),
    "pictures": ("read_picture",),
    "pixels": ("as_pixels",),
    "reading": ("nearest_frames",),
    "sheet": ("evenly", "picture_sheet"),
    "sketch": ("SketchDecoder", "SketchNet"),
    "tiny": ("TinyDecoder",),
    "vae": ("LATENT_MEAN", "LATENT_STD", "SPACE_SCALE", "TIME_SCALE", "Z_DIM", "WanVAE"),
    "video": ("contact_sheet", "read_frames", "write_mp4"),
    "wan_stream": ("WanDecoder", "WanEncoder"),
    "writer": ("VideoFile",),
    "writer_codecs": (
        "AUTO",
        "CODECS",
        "MOST_QUALITY",
        "PIXEL_FORMATS",
        "QUALITY",
        "VideoSettings",
        "checked_settings",
        "codecs",
        "is_deep",
    ),
}

__getattr__, __dir__, __all__ = attach(
    __name__, {name: module for module, names in _HOMES.items() for name in names}
)
