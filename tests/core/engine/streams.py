"""What the tests of streams share: recipes, sizes and how to roll out."""

import torch

import causvid_core as cv

SIZE = {"height": 4, "width": 6}
RECIPES = {
    "everything": cv.Recipe(timesteps=(1000, 600), shift=5.0),
    "window": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=3),
    "relative": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=1, positions="relative"),
    "seam": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=8, first_block_frames=1),
}


def latents(blocks):
    return torch.cat([block.latents for block in blocks], dim=2)


def make(model, state, context, blocks, **options):
    """All blocks of a rollout."""
    return list(cv.rollout(model, state, context, blocks, **options))


class Stop(Exception):
    """Raised by a callback."""


def raise_stop(record):
    raise Stop
