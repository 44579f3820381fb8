"""A stream at a glance: a contact sheet of its blocks."""

from typing import Any

import comfy.latent_formats
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ....causvid_core import recipes
from ....causvid_core.media import ColourDecoder, evenly, picture_sheet
from ....causvid_core.mini import LATENT_RGB_BIAS, LATENT_RGB_FACTORS
from ....causvid_core.stream import CARRY, StreamBlock, StreamState
from ....causvid_core.stream.geometry import seconds_from_px
from ..messages import message
from .progress import enlarged

MOST_CELLS = 60
MINI_RECIPES = ("causvid-mini", "causvid-mini-endless")


def contact_sheet(state: StreamState, vae: Any = None) -> Tensor:
    """The last frame of every block, IMAGE `[1, H, W, 3]`; for a long stream, of some of them.

    Decoded with `vae`, else a quick picture of the latents. Raises ValueError for an empty stream
    and for a VAE of other latents.
    """
    if not state.blocks:
        raise ValueError(message("sheet.empty"))
    channels = getattr(vae, "latent_channels", None)
    found = state.history[0].latents.shape[1]
    if vae is not None and channels not in (None, found):
        raise ValueError(message("sheet.other_vae", channels=channels, found=found))
    chosen = evenly(state.blocks, MOST_CELLS)
    # The latents themselves do not tell whose they are.
    of_mini = state.recipe in [recipes[name] for name in MINI_RECIPES]
    images = [_picture(state.history[index], vae, of_mini) for index in chosen]
    sheet = picture_sheet(images, [_label(state, index) for index in chosen])
    return torch.from_numpy(np.asarray(sheet).astype(np.float32) / 255)[None]


def _picture(block: StreamBlock, vae: Any, of_mini: bool) -> Image.Image:
    wan, latents = comfy.latent_formats.Wan21(), block.latents[:1]
    if vae is None:
        colours = (wan.latent_rgb_factors, wan.latent_rgb_factors_bias)
        if of_mini:
            colours = (LATENT_RGB_FACTORS, LATENT_RGB_BIAS)
        frames = ColourDecoder(*colours, scale=1).decode(latents[:, :, -1:]).permute(0, 2, 3, 4, 1)
    else:
        frames = vae.decode(wan.process_out(latents))
    last = frames.reshape(-1, *frames.shape[-3:])[-1]
    pixels = (last[..., :3].float().cpu() * 255).round().clamp(0, 255).byte().numpy()
    return Image.fromarray(pixels) if vae is not None else enlarged(Image.fromarray(pixels))


def _label(state: StreamState, index: int) -> str:
    end = state._replace(history=state.history[: index + 1]).px_frames
    mode = state.history[index].switch
    text = f"block {index}, {seconds_from_px(end):.1f} s"
    return text if mode == CARRY else f"{text}, {mode}"
