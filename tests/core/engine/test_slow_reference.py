"""The cache against plain slow versions: everything concatenated, masked and recomputed."""

import pytest
import torch

import causvid_core as cv
from causvid_core.model.forward import denoise
from causvid_core.model.prompt import encode_prompt
from causvid_core.model.rope import Rotary, rotate
from causvid_core.stream.noise import seeded_noise
from causvid_core.stream.plan import Plan

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


def window_of(recipe, frames):
    """The frames that a window holds once `frames` frames have come: appended and dropped."""
    kept = []
    for frame in range(frames):
        kept.append(frame)
        if recipe.window is not None and len(kept) > recipe.window:
            kept.pop(recipe.sink)
    return kept


class Recompute:
    """Self-attention over the whole stream; every block looks at its own window, from scratch."""

    def __init__(self, recipe, config, sizes, grid):
        self.recipe, self.sizes, self.tokens = recipe, sizes, grid[0] * grid[1]
        self.rotary = Rotary(config.head_dim, grid, torch.device("cpu"))

    def __call__(self, layer, q, k, v):
        split = [x.unflatten(1, (-1, self.tokens)) for x in (q, k, v)]
        outputs, end = [], 0
        for size in self.sizes:
            own, end = range(end, end + size), end + size
            kept = window_of(self.recipe, end)
            places = range(len(kept)) if self.recipe.positions == "relative" else kept
            q_now = split[0][:, list(own)].flatten(1, 2)
            k_now, v_now = (x[:, kept].flatten(1, 2) for x in split[1:])
            q_now = rotate(q_now, self.rotary.table([places[kept.index(f)] for f in own]))
            k_now = rotate(k_now, self.rotary.table(list(places)))
            scores = torch.einsum("bnhd,bmhd->bhnm", q_now, k_now) / q.shape[-1] ** 0.5
            outputs.append(torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), v_now))
        return torch.cat(outputs, dim=1)


def slow_rollout(model, recipe, context, noise, batch, height, width, blocks):
    bound, plan = cv.bind(model), Plan.of(recipe)
    prompt = encode_prompt(bound, context.expand(batch, -1, -1))
    grid = bound.config.grid(height, width)
    done, times, sizes = torch.zeros(batch, 16, 0, height, width), [], []
    for index in range(blocks):
        size = plan.span(index).frames
        shape = (batch, 16, size, height, width)
        sizes.append(size)
        attend = Recompute(recipe, bound.config, sizes, grid)
        schedule = recipe.schedule(index)
        x = x0 = noise(index, 0, shape)
        for step, (timestep, sigma) in enumerate(zip(*schedule, strict=True)):
            if step:
                x = (1 - sigma) * x0 + sigma * noise(index, step, shape)
            timesteps = torch.tensor([times + [timestep] * size])
            with torch.no_grad():
                flow = denoise(bound, torch.cat((done, x), dim=2), timesteps, attend, prompt)
            x0 = x - sigma * flow[:, :, -size:]
        done = torch.cat((done, x0), dim=2)
        times += [recipe.context_timestep] * size
    return done


@pytest.mark.parametrize("recipe", list(variants()))
@pytest.mark.parametrize("batch", [1, 2])
def test_rollout_equals_recomputing_everything(wan, context, recipe, batch):
    model, blocks = wan(num_layers=3), 7
    expected = slow_rollout(model, recipe, context, seeded_noise(3), batch, 4, 6, blocks)
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
