"""Trajectories against a plain loop, and the regression on them against its formula."""

import pytest
import torch

import causvid_core as cv
from causvid_core.distill.guidance import Guidance
from causvid_core.distill.network import Network
from causvid_core.distill.ode import draw_states, ode_regression_loss, sampling_levels, trajectory
from causvid_core.stream.schedule import make_schedule

from .small import bidirectional, gradients, latents, make_model, prompts

CAUSVID = cv.recipes["causvid"].schedule(0)


def flow(network, noisy, timestep, conditioning):
    timesteps = torch.full((noisy.shape[0], noisy.shape[2]), timestep)
    return cv.forward_all(
        network.bound, noisy.float(), timesteps, conditioning.context, causal=network.causal
    ).double()


@torch.no_grad()
def test_a_trajectory_is_euler_on_the_shifted_levels_under_guidance():
    teacher, conditioning, empty = bidirectional(), prompts(), prompts(8, lengths=(2,))
    noise, keep = latents(2), make_schedule((1000.0, 600.0), 5.0, False)
    found = trajectory(teacher, noise, conditioning, Guidance(5.0, empty), keep, steps=6, shift=5.0)

    levels = [5 * u / (1 + 4 * u) for u in (1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0)]
    assert abs(levels[4] - 0.6) > 0.05  # so it is seen to move
    levels[5 if abs(levels[5] - 0.6) < abs(levels[4] - 0.6) else 4] = keep.sigmas[1]
    x, states = noise.double(), []
    for here, after in zip(levels, levels[1:], strict=False):
        if here in (1, keep.sigmas[1]):
            states.append(x)
        cond = flow(teacher, x, 1000 * here, conditioning)
        uncond = flow(teacher, x, 1000 * here, empty.repeated(2))
        x = x + (after - here) * (5 * cond - 4 * uncond)
    expected = torch.stack([*states, x], dim=1)
    assert found.states.shape == (2, 3, 16, 6, 4, 6)
    assert (found.states - expected).abs().max() < 1e-4 * expected.std()
    assert found.timesteps == (*keep.timesteps, 0.0) and found.sigmas == (*keep.sigmas, 0.0)


def test_a_sample_is_the_end_of_a_trajectory_that_keeps_nothing_on_its_way():
    teacher, conditioning, empty = bidirectional(), prompts(), prompts(8, lengths=(2,))
    noise, guidance = latents(2), Guidance(5.0, empty)
    keep = make_schedule((1000.0,), 5.0, False)  # where it begins: no level moves
    whole = trajectory(teacher, noise, conditioning, guidance, keep, steps=4, shift=5.0)
    found = trajectory(teacher, noise, conditioning, guidance, steps=4, shift=5.0).end
    assert torch.equal(found, whole.states[:, -1])
    other = trajectory(teacher, noise, conditioning, guidance, steps=5, shift=5.0).end
    assert not torch.equal(found, other)


@torch.no_grad()
@pytest.mark.parametrize("window", [{}, {"window": 5, "sink": 1}, {"first_block_frames": 2}])
def test_a_causal_teacher_is_sampled_block_by_block(window):
    """Every block on its own levels, after the ends of those before; no cache in the plain loop."""
    recipe = cv.Recipe(**window)
    teacher, conditioning, empty = Network.of(make_model(), recipe), prompts(), prompts(8, (2,))
    frames = 9 if "first_block_frames" not in window else 8
    noise, keep = latents(2, frames=frames), make_schedule((1000.0, 600.0), 5.0, False)
    found = trajectory(teacher, noise, conditioning, Guidance(3.0, empty), keep, steps=6, shift=5.0)

    levels, kept = sampling_levels(keep, 6, 5.0)
    first = window.get("first_block_frames", 3)
    spans = [(0, first), (first, first + 3), (first + 3, first + 6)]
    ends, states = [], [[], []]
    for start, end in spans:
        before = torch.cat([torch.empty(2, 16, 0, 4, 6), *ends], dim=2)
        x = noise[:, :, start:end]
        for step, (here, after) in enumerate(zip(levels, levels[1:], strict=False)):
            if step in kept:
                states[kept.index(step)].append(x)
            cond, uncond = (
                cv.forward_all(
                    teacher.bound,
                    torch.cat((before, x), dim=2),
                    torch.full((2, 1), 1000 * here),
                    text.context,
                    clean=before,
                    **window,
                )[:, :, start:]
                for text in (conditioning, empty.repeated(2))
            )
            x = x + (after - here) * (3 * cond - 2 * uncond)
        ends.append(x)
    expected = torch.stack([torch.cat(s, dim=2) for s in (*states, ends)], dim=1)
    assert (found.states - expected).abs().max() < 1e-4 * expected.std()


def test_causvids_timesteps_are_levels_36_and_44_of_50():
    """As its pairs were saved; they move by less than the table of timesteps resolves."""
    levels, kept = sampling_levels(CAUSVID, 50, 8.0)
    assert kept == [0, 36, 44] and levels[-1] == 0
    plain = [8 * u / (1 + 7 * u) for u in (1 - step / 50 for step in range(51))]
    assert levels == pytest.approx(plain, abs=1e-6)
    assert all(later < earlier for earlier, later in zip(levels, levels[1:], strict=False))


@pytest.mark.parametrize("name", ["causvid-4step", "self-forcing", "causvid-mini"])
def test_the_timesteps_of_any_recipe_fit_in(name):
    recipe = cv.recipes[name]
    levels, kept = sampling_levels(recipe.schedule(0), 50, recipe.shift)
    assert [levels[step] for step in kept] == list(recipe.schedule(0).sigmas)
    assert all(later < earlier for earlier, later in zip(levels, levels[1:], strict=False))


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="in more steps"):
        sampling_levels(CAUSVID, 3, 8.0)


def test_guidance_needs_something_to_lead_away_from():
    keep = make_schedule((1000.0,), 5.0, False)
    with pytest.raises(ValueError, match="lead away"):
        trajectory(bidirectional(), latents(2), prompts(), Guidance(5.0), keep, steps=2)


@pytest.mark.parametrize("teacher_forcing", [False, True])
def test_the_regression_is_the_error_of_x0_where_noise_is_left(teacher_forcing):
    student = Network.of(make_model(), cv.recipes["causvid"])
    states = torch.stack([latents(seed) for seed in range(4)], dim=1)
    drawn = torch.tensor([[0, 2], [3, 1]])
    loss = ode_regression_loss(
        student, states, CAUSVID, drawn, prompts(), teacher_forcing=teacher_forcing
    )

    t = [*CAUSVID.timesteps, 0.0]
    noisy = torch.stack(
        [
            torch.cat([states[n, drawn[n, b], :, 3 * b : 3 * b + 3] for b in range(2)], dim=1)
            for n in range(2)
        ]
    )
    timesteps = torch.tensor([[t[i] for i in row for _ in range(3)] for row in drawn.tolist()])
    seen = {"clean": states[:, -1, :, :3]} if teacher_forcing else {}
    flows = cv.forward_all(student.bound, noisy, timesteps, prompts().context, **seen).double()
    sigmas = torch.tensor([*CAUSVID.sigmas, 0.0]).double()[drawn].repeat_interleave(3, dim=1)
    error = noisy.double() - sigmas[:, None, :, None, None] * flows - states[:, -1].double()
    learned = torch.cat([error[0].flatten(), error[1, :, 3:].flatten()])
    assert loss.item() == pytest.approx(learned.square().mean().item(), rel=1e-5)
    loss.backward()
    assert gradients(student).abs().sum() > 0


def test_nothing_to_learn_is_a_loss_of_zero():
    student = Network.of(make_model(), cv.recipes["causvid"])
    states = torch.stack([latents(seed) for seed in range(4)], dim=1)
    loss = ode_regression_loss(student, states, CAUSVID, torch.full((2, 2), 3), prompts())
    loss.backward()
    assert loss == 0 and gradients(student).count_nonzero() == 0


def test_every_state_is_drawn_for_every_block():
    drawn = draw_states(torch.Generator().manual_seed(0), 200, 3, 4)
    shares = torch.stack([(drawn == state).float().mean(0) for state in range(4)])
    assert drawn.shape == (200, 3) and (shares - 0.25).abs().max() < 0.1
