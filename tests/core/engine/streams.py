"""What the tests of streams share: recipes, sizes and how to roll out."""

from contextlib import contextmanager

import torch

import causvid_core as cv
from causvid_core.stream import release, snapshot

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


def hand_over_live(state, model):
    return state


def hand_over_light(state, model):
    return state.light()


def hand_over_exact(state, model):
    exact = snapshot(state)
    release(state)
    return exact


def hand_over_recomputed(state, model):
    return snapshot(state.light(), model)


HAND_OVERS = [hand_over_live, hand_over_light, hand_over_exact, hand_over_recomputed]
"""How a state goes from one rollout to the next."""


@contextmanager
def no_waits():
    """Every wait of this process for its CUDA device raises."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


class Stop(Exception):
    """Raised by a callback."""


def raise_stop(record):
    raise Stop
