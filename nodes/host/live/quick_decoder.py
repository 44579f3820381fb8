"""The decoder of live pictures: quick enough not to slow a rollout down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from comfy.latent_formats import Wan21
from comfy.model_patcher import ModelPatcher
from safetensors.torch import load_file

from ....causvid_core import media
from ....causvid_core.mini import weights_path
from ..loading.tiny_decoders import tiny_names, tiny_path
from ..notice import log

NAMES = ("taew2_1", "lighttaew2_1")
CPU_SHARE = 0.01
"""What a tiny decoder may have of the model's size to be quick enough on a CPU."""


def quick_decoder(model: ModelPatcher) -> media.StreamDecoder:
    """A decoder of this MODEL's latents: a tiny one from models/vae_approx, or plain colours; for
    the Mini its own sketches.
    """
    if model.model.latent_format.latent_rgb_factors is not Wan21.latent_rgb_factors:
        net = media.SketchNet.from_state_dict(load_file(weights_path("sketch")))
        return media.SketchDecoder(net.to(model.load_device))
    for path in _tiny_files():
        if model.load_device.type == "cpu" and path.stat().st_size > CPU_SHARE * model.model_size():
            continue
        dtype = torch.float32 if model.load_device.type == "cpu" else torch.float16
        try:
            return media.TinyDecoder.from_file(path, model.load_device, dtype)
        except (ValueError, OSError) as error:
            log.warning("CausVid: the live view does without %s: %s", path.name, error)
    return colours(model)


def colours(model: ModelPatcher) -> media.StreamDecoder:
    """Rough colours, one for each latent pixel."""
    latent_format: Any = model.model.latent_format
    factors, bias = latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias
    return media.ColourDecoder(factors, bias, scale=1)


def _tiny_files() -> Iterator[Path]:
    """Decoders of Wan 2.1's latents, by what users know them as."""
    for name in tiny_names():
        if Path(name).name.startswith(NAMES):
            yield tiny_path(name)
