"""The Mini's preview colours against the pixels they stand for."""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from causvid_core.media.vae import WanVAE
from causvid_core.mini import weights_path
from causvid_core.mini.measure import psnr_db
from causvid_core.mini.preview import LATENT_RGB_BIAS, LATENT_RGB_FACTORS
from causvid_core.mini.world import held_out_specs, render


def test_colours_are_those_of_the_decoded_pixels():
    """A flat guess of each clip's mean colour reaches about 16 dB; these clips were not fitted."""
    vae = WanVAE.from_state_dict(load_file(weights_path("vae")))
    values = []
    for spec in held_out_specs(4):
        px = render([spec], 9)
        with torch.inference_mode():
            latents = vae.encode(px)[0, :, 1:]
        colours = torch.einsum("cthw,cd->dthw", latents, torch.tensor(LATENT_RGB_FACTORS))
        shown = (colours + torch.tensor(LATENT_RGB_BIAS).view(3, 1, 1, 1) + 1) / 2
        values.append(psnr_db(shown, F.avg_pool3d(px[0, :, 1:], (4, 8, 8))))
    assert min(values) > 19, values
