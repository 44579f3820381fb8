"""Counting frames, and memory before it is taken."""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream import geometry
from causvid_core.stream.lengths import kv_bytes


def test_px_and_latent_frames():
    assert [geometry.latent_frames_from_px(px) for px in (1, 2, 5, 6, 81)] == [1, 2, 2, 3, 21]
    assert [geometry.px_frames_from_latent(n) for n in (1, 2, 21)] == [1, 5, 81]
    assert geometry.px_frames_from_seconds(5) == 80
    assert geometry.seconds_from_px(24, 12) == 2
    assert geometry.latent_size_from_px(832) == 104
    for wrong in (
        lambda: geometry.latent_frames_from_px(0),
        lambda: geometry.px_frames_from_latent(0),
        lambda: geometry.px_frames_from_seconds(0),
    ):
        with pytest.raises(ValueError, match="no video"):
            wrong()
    with pytest.raises(ValueError, match="try 104"):
        geometry.latent_size_from_px(101)


def test_the_published_size_of_a_latent_frame():
    """287.5 MB for 1.3B and 1.278 GB for 14B at 832x480 in bf16."""
    for dim, layers, expected in ((1536, 30, 287.5e6), (5120, 40, 1.278e9)):
        config = cv.WanConfig(dim=dim, ffn_dim=4 * dim, num_heads=dim // 128, num_layers=layers)
        tokens = config.tokens_per_frame(60, 104)
        assert kv_bytes(config, tokens, 1, torch.bfloat16) == pytest.approx(expected, rel=1e-3)


def test_the_estimate_covers_the_ring_and_grows_with_it(wan, context):
    model = wan()
    recipe = cv.Recipe(timesteps=(1000,), window=6, positions="relative")
    estimate = cv.stream_memory_bytes(recipe, model.config, 4, 6, 2, torch.float32)
    state = cv.start(recipe, model, height=4, width=6, batch=2)
    ring = list(cv.rollout(model, state, context, 3))[-1].state.live.ring
    held = ring.tokens * ring.token_bytes + ring.scratch(1)._base.nbytes
    assert held < estimate < 4 * held
    everything = cv.Recipe(timesteps=(1000,))
    short, long = (
        cv.stream_memory_bytes(everything, model.config, 4, 6, latent_frames=n) for n in (30, 300)
    )
    assert long - short == kv_bytes(model.config, 270 * 6, 1, torch.bfloat16)
