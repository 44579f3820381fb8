"""Numbers that go bad in the middle of a render."""

import math

import torch

import causvid_core as cv
from causvid_core.stream import rollout

from .test_render import CIRCLE, THREE_BLOCKS, render, small

__all__ = ["small"]  # a fixture


def test_what_was_made_before_numbers_went_bad_is_kept(small, capsys, monkeypatch):
    drawn = rollout.seeded_noise

    def spoiled(seed):
        noise = drawn(seed)
        return lambda block, step, shape: (
            noise(block, step, shape) * (math.nan if (block, step) == (2, 1) else 1)
        )

    monkeypatch.setattr(rollout, "seeded_noise", spoiled)
    assert render(*CIRCLE, "--seconds", THREE_BLOCKS / 16, "--out", "a.mp4") == 2
    told = capsys.readouterr().err
    assert "block 3 of the stream became NaN or infinite at step 2: its noise" in told
    assert "The first 2 blocks are whole" in told
    stream = cv.load_stream("a.stream.safetensors")
    assert stream.blocks == 2 and torch.isfinite(stream.latents).all()
