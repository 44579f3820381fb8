"""Sketches of the Mini's video: how close they are, in pieces as at once, and learning them."""

import pytest
import torch
from safetensors.torch import load_file

from causvid_core.media.latent_rgb import ColourDecoder
from causvid_core.media.sketch import SketchDecoder, SketchNet
from causvid_core.media.vae import WanVAE
from causvid_core.mini import weights_path
from causvid_core.mini.preview import LATENT_RGB_BIAS, LATENT_RGB_FACTORS
from causvid_core.mini.training.sketch import SketchSettings, train_sketch
from causvid_core.mini.world import generator_of, render, sample_spec


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    return WanVAE.from_state_dict(load_file(weights_path("vae")))


def test_the_mini_is_sketched_far_better_than_by_colours(vae):
    specs = [sample_spec(generator_of(99, index), opening=True) for index in range(8)]
    px = render(specs, 9)
    latents = vae.encode(px)
    sketch = SketchDecoder(SketchNet.from_state_dict(load_file(weights_path("sketch"))))
    colours = ColourDecoder(LATENT_RGB_FACTORS, LATENT_RGB_BIAS)
    whole = sketch.decode(latents)
    assert error(whole, px) < 0.4 * error(colours.decode(latents), px)
    sketch.reset()
    first, memory = sketch.decode(latents[:, :, :1]), sketch.memory
    for _ in range(2):
        sketch.memory = memory
        joined = torch.cat([first, sketch.decode(latents[:, :, 1:])], dim=2)
        torch.testing.assert_close(joined, whole, atol=1e-6, rtol=0)


def test_a_short_training_learns(vae, tmp_path):
    px = render([sample_spec(generator_of(7, 0))], 5, first_px_frame=3)
    latents = vae.encode(px)
    settings = SketchSettings(
        width=16, clips=2, clip_px_frames=5, steps=120, batch=4, learning_rate=1e-2
    )
    nets = SketchNet(16), SketchNet.from_state_dict(train_sketch(settings, vae, tmp_path))
    before, after = (error(SketchDecoder(net.eval()).decode(latents), px) for net in nets)
    assert after < 0.5 * before


def error(shown: torch.Tensor, px: torch.Tensor) -> float:
    return (shown - px).square().mean().item()
