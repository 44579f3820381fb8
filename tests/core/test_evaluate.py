"""The judge of the Mini, judged with videos whose truth is known."""

from dataclasses import replace

import torch

from causvid_core.distill.network import Network
from causvid_core.media.loading import load_vae
from causvid_core.media.vae import WanVAE
from causvid_core.mini import weights_path
from causvid_core.mini.evaluate import Guided, Streamed, evaluate_mini
from causvid_core.mini.text_encoder import TextEncoder
from causvid_core.mini.world import held_out_specs, render
from causvid_core.model.checkpoints import load_model
from causvid_core.stream.presets import recipes

FRAMES = 3


def real_videos(vae: WanVAE, **changes):
    """A model that draws what was asked for, but for some changes."""
    specs = {spec.caption: replace(spec, **changes) for spec in held_out_specs(4)}

    def make(prompts, frames, seed):
        px = render([specs[prompt] for prompt in prompts], 1 + 4 * (frames - 1))
        yield vae.encode(px)

    return make


@torch.inference_mode()
def test_real_videos_are_right_and_do_not_drift():
    vae = load_vae(weights_path("vae"))
    figures = evaluate_mini(real_videos(vae), vae, FRAMES, prompts=4, long_prompts=2)
    assert figures["shape"] == figures["colour"] == figures["direction"] == 1
    assert figures["overlap"] > 0.85 and figures["jitter_px"] < 0.5
    assert figures["worst_colour_drift"] < 0.02 and figures["worst_size_drift"] < 0.03


@torch.inference_mode()
def test_wrong_videos_are_wrong_and_growing_ones_drift():
    vae = load_vae(weights_path("vae"))
    make = real_videos(vae, shape="ring", colour="pink", action="growing", phase=0.0)
    figures = evaluate_mini(make, vae, FRAMES, prompts=4, long_prompts=2)
    asked = held_out_specs(4)
    assert figures["shape"] == sum(spec.shape == "ring" for spec in asked) / 4 < 1
    assert figures["colour"] == sum(spec.colour == "pink" for spec in asked) / 4 < 1
    assert figures["size_drift"] > 0.3
    without = evaluate_mini(make, vae, FRAMES, prompts=4, long_prompts=0)
    assert "size_drift" not in without and without["shape"] == figures["shape"]


@torch.inference_mode()
def test_models_are_sampled_at_the_length_asked_for_and_by_their_seed():
    model, text = load_model(str(weights_path("dit"))), TextEncoder.load()
    recipe = recipes["causvid-mini"]
    guided = Guided(Network.bidirectional(model), text, recipe.shift, guidance=2.0, steps=2)
    prompts = [spec.caption for spec in held_out_specs(2)]
    for make in (Streamed(model, text, recipe), guided):
        first, again, other = (torch.cat(list(make(prompts, 6, seed)), dim=2) for seed in (0, 0, 1))
        assert first.shape == (2, 16, 6, 8, 8)
        assert torch.equal(first, again) and not torch.allclose(first, other, atol=0.1)
