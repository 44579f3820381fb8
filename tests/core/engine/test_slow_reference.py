"""The cache against plain slow versions: everything concatenated, masked and recomputed."""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream.noise import seeded_noise

from .recompute import SlowStream

RECIPES = {
    "everything": cv.Recipe(timesteps=(1000, 600), shift=5.0),
    "window": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=6),
    "sink": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=7, sink=2, context_timestep=30),
    "first": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=6, first_block_frames=1),
    "framewise": cv.Recipe(timesteps=(1000,), frames_per_block=1, window=4, sink=1),
}


def variants():
    for name, recipe in RECIPES.items():
        for positions in ("absolute", "relative"):
            values = {**recipe.to_dict(), "positions": positions}
            yield pytest.param(cv.Recipe.from_dict(values), id=f"{name}-{positions}")


@pytest.mark.parametrize("recipe", list(variants()))
@pytest.mark.parametrize("batch", [1, 2])
def test_rollout_equals_recomputing_everything(wan, context, recipe, batch):
    model, blocks = wan(num_layers=3), 7
    slow = SlowStream(seeded_noise(3), batch)
    expected = torch.cat([slow.block(model, recipe, context) for _ in range(blocks)], dim=2)
    state = cv.start(recipe, model, height=4, width=6, batch=batch, seed=3)
    found = torch.cat([b.latents for b in cv.rollout(model, state, context, blocks)], dim=2)
    assert found.std() > 0.1
    assert (found - expected).abs().max() < 1e-4 * expected.std()


def test_absolute_and_relative_differ_only_once_a_sink_is_left_behind(wan, context):
    model = wan()
    outs = []
    for positions in ("absolute", "relative"):
        recipe = cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=3, positions=positions)
        state = cv.start(recipe, model, height=4, width=6)
        outs.append([block.latents for block in cv.rollout(model, state, context, 6)])
    for absolute, relative in zip(*(out[:3] for out in outs), strict=True):
        assert torch.equal(absolute, relative)
    assert (outs[0][3] - outs[1][3]).abs().max() > 1e-4
