"""The student's own rollout: the engine's numbers, and gradients of the exit step alone."""

from dataclasses import replace
from itertools import accumulate

import pytest
import torch

import causvid_core as cv
from causvid_core.distill.network import Network, with_gradient_checkpointing
from causvid_core.distill.rollout_training import draw_exit_step, self_rollout
from causvid_core.model.attention import BlockCausalAttention
from causvid_core.model.forward import denoise
from causvid_core.model.pieces import teacher_forced
from causvid_core.model.prompt import encode_prompt
from causvid_core.model.rope import Rotary
from causvid_core.stream.noise import seeded_noise

from .small import SIZE, gradients, latents, make_model, prompts

STEPS = {"timesteps": (1000, 800, 500), "shift": 5.0}
RECIPES = {
    "everything": cv.Recipe(**STEPS),
    "window": cv.Recipe(**STEPS, window=8, sink=2),
    "relative": cv.Recipe(**STEPS, window=6, sink=1, positions="relative"),
    "first block": cv.Recipe(**STEPS, window=7, first_block_frames=1),
    "fewer steps later": cv.Recipe((1000,), shift=5.0, first_block_timesteps=(1000, 500)),
}


@pytest.fixture(params=sorted(RECIPES))
def recipe(request):
    return RECIPES[request.param]


def frames_of(recipe):
    return (recipe.first_block_frames or 3) + 9


def roll(student, recipe, exit_step=2, conditioning=None, **options):
    conditioning = conditioning or prompts()
    shape = (len(conditioning.lengths), 16, frames_of(recipe), *SIZE)
    noise = seeded_noise(7)
    return self_rollout(student, recipe, shape, conditioning, noise, exit_step, **options)


def test_left_at_the_last_step_it_is_the_engines_rollout(recipe):
    student, conditioning = Network.of(make_model(), recipe), prompts()
    state = cv.start(recipe, student.bound, height=SIZE[0], width=SIZE[1], batch=2, seed=7)
    blocks = cv.rollout(student.bound, state, conditioning.context, 4)
    expected = torch.cat([block.latents for block in blocks], dim=2)
    sample = roll(student, recipe)
    assert (sample.x0 - expected).abs().max() < 1e-5 * expected.std()
    assert sample.x0.requires_grad and sample.loss_mask.all()


def test_given_blocks_are_context_only(recipe):
    student, conditioning = Network.of(make_model(), recipe), prompts()
    first = recipe.first_block_frames or 3
    given = latents(4, frames=first + 3)
    state = cv.start(recipe, student.bound, height=SIZE[0], width=SIZE[1], batch=2, seed=7)
    state = cv.prime(student.bound, state, conditioning.context, given)
    blocks = cv.rollout(student.bound, state, conditioning.context, 2)
    expected = torch.cat([given, *(block.latents for block in blocks)], dim=2)
    sample = roll(student, recipe, given=given)
    assert (sample.x0 - expected).abs().max() < 1e-5 * expected.std()
    assert sample.loss_mask[0].tolist() == [False] * (first + 3) + [True] * 6


class NoGradientFromBefore(BlockCausalAttention):
    """Teacher forcing, with the keys and values of the clean latents taken as they are."""

    def __call__(self, layer, q, k, v):
        clean = sum(piece.queries for piece in self._pieces) - self.noisy
        fixed = (torch.cat((x[:, :clean].detach(), x[:, clean:]), dim=1) for x in (k, v))
        return super().__call__(layer, q, *fixed)


def slowly(model, recipe, conditioning, exit_step):
    """x0 by whole passes under teacher forcing, without any cache; absolute positions only."""
    window = {"window": recipe.window, "sink": recipe.sink}
    blocks = [recipe.first_block_frames or 3, 3, 3, 3]
    noise, made, left = seeded_noise(7), [], []
    for index, (count, end) in enumerate(zip(blocks, accumulate(blocks), strict=True)):
        timesteps, sigmas = recipe.schedule(index)
        last = min(exit_step, len(timesteps) - 1)
        shape = (2, 16, count, *SIZE)
        x = x0 = noise(index, 0, shape)
        for step in range(last + 1):
            if step:
                x = (1 - sigmas[step]) * x0 + sigmas[step] * noise(index, step, shape)
            before = torch.cat([torch.empty(2, 16, 0, *SIZE), *made], dim=2)
            with torch.no_grad():
                flow = cv.forward_all(
                    model,
                    torch.cat((before, x), dim=2),
                    torch.full((2, 1), timesteps[step]),
                    conditioning.context,
                    first_block_frames=blocks[0],
                    clean=before,
                    **window,
                )
            x0 = x - sigmas[step] * flow[:, :, end - count :]
        made.append(x0)
        left.append((x, timesteps[last], sigmas[last], count))

    bound, clean = cv.bind(model), torch.cat(made[:-1], dim=2)
    levels = [(t, s) for _, t, s, count in left for _ in range(count)]
    frames = len(levels)
    grid = bound.config.grid(*SIZE)
    rope = Rotary(bound.config.head_dim, grid, bound.device).table(
        [*range(clean.shape[2]), *range(frames)]
    )
    pieces = [p.times(grid[0] * grid[1]) for p in teacher_forced(blocks, **window)]
    attend = NoGradientFromBefore(bound.attention, rope, pieces)
    attend.noisy = frames * grid[0] * grid[1]
    noisy = torch.cat([x for x, *_ in left], dim=2)
    timesteps = torch.tensor([[0.0] * clean.shape[2] + [t for t, _ in levels]])
    prompt = encode_prompt(bound, conditioning.context)
    flow = denoise(bound, torch.cat((clean, noisy), dim=2), timesteps, attend, prompt)
    sigmas = torch.tensor([s for _, s in levels])[:, None, None]
    return noisy - sigmas * flow[:, :, clean.shape[2] :]


@pytest.mark.parametrize("name", ["everything", "window", "first block", "fewer steps later"])
@pytest.mark.parametrize("exit_step", [0, 1])
def test_gradients_are_those_of_the_exit_step_alone(name, exit_step):
    recipe = RECIPES[name]
    weight = latents(9, frames=frames_of(recipe))
    results = []
    for make in (
        lambda student: slowly(student.bound.tree, recipe, prompts(), exit_step),
        lambda student: roll(student, recipe, exit_step).x0,
    ):
        student = Network.of(make_model(), recipe)
        x0 = make(student)
        (x0 * weight).mean().backward()
        results.append((x0.detach(), gradients(student)))
    (x0, gradient), (found_x0, found) = results
    assert (found_x0 - x0).abs().max() < 1e-4 * x0.std()
    assert (found - gradient).norm() < 1e-4 * gradient.norm()


def test_only_the_last_latent_frames_learn():
    recipe = RECIPES["everything"]
    student = Network.of(make_model(), recipe)
    sample = roll(student, recipe, gradient_frames=4)
    assert sample.loss_mask[0].tolist() == [False] * 6 + [True] * 6
    sample.x0[:, :, :6].sum().backward()
    assert gradients(student).count_nonzero() == 0
    whole = roll(student, recipe)
    assert torch.equal(whole.x0, sample.x0)


def test_recomputed_layers_have_equal_gradients(recipe):
    results = []
    for within in (None, with_gradient_checkpointing):
        student = Network.of(make_model(), recipe)
        if within is not None:
            student = replace(student, bound=replace(student.bound, within=within))
        roll(student, recipe, exit_step=1).x0.square().mean().backward()
        results.append(gradients(student))
    assert torch.equal(*results)


def test_without_gradients_nothing_is_kept():
    recipe = RECIPES["everything"]
    with torch.no_grad():
        assert not roll(Network.of(make_model(), recipe), recipe).x0.requires_grad


def test_context_is_noised_to_its_timestep():
    """At a timestep of 1000 nothing of what was made is left for the blocks that follow."""
    recipes = [replace(RECIPES["everything"], context_timestep=t) for t in (0, 200, 1000)]
    model = make_model()
    clips = [roll(Network.of(model, recipe), recipe).x0.detach() for recipe in recipes]
    assert all(torch.equal(clip[:, :, :3], clips[0][:, :, :3]) for clip in clips)
    assert not torch.allclose(clips[0], clips[1], atol=1e-3)
    other = roll(Network.of(model, recipes[2]), recipes[2], given=latents(4, frames=3)).x0
    assert torch.equal(other[:, :, 3:], clips[2][:, :, 3:])


def test_every_exit_step_is_drawn():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_exit_step(generator, RECIPES["everything"]) for _ in range(60)]
    assert set(drawn) == {0, 1, 2}


def test_parts_of_blocks_are_refused():
    recipe = RECIPES["everything"]
    student = Network.of(make_model(), recipe)
    with pytest.raises(ValueError, match="do not fill whole blocks"):
        self_rollout(student, recipe, (1, 16, 7, *SIZE), prompts(lengths=(3,)), seeded_noise(0), 0)
