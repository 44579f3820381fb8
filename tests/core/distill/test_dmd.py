"""Distribution matching against its formulas, and who learns from what."""

import pytest
import torch

import causvid_core as cv
from causvid_core.distill import dmd
from causvid_core.distill.guidance import Guidance
from causvid_core.distill.network import Network, add_noise, flow_matching_loss
from causvid_core.distill.rollout_training import self_rollout
from causvid_core.stream.noise import seeded_noise

from .small import (
    SIZE,
    bidirectional,
    gradients,
    latents,
    make_model,
    per_frame,
    prompts,
    untouched,
)

RECIPE = cv.recipes["causvid"]
SCHEDULE = RECIPE.schedule(0)


def student():
    return Network.of(make_model(0), RECIPE)


def flow(network, noisy, timesteps, conditioning):
    """In float64 but for the network itself."""
    return cv.forward_all(
        network.bound, noisy.float(), timesteps.float(), conditioning.context, causal=network.causal
    ).double()


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_the_gradient_compares_the_scores(causal):
    """One timestep a sample for a bidirectional teacher, one a block for a causal one."""
    fake, empty, guidance = bidirectional(2), prompts(8, lengths=(2,)), 3.5
    real = Network.of(make_model(1), RECIPE) if causal else bidirectional(1)
    x0, noise, conditioning = latents(1), latents(2), prompts()
    timesteps = torch.tensor([[300.0, 100.0], [640.0, 980.0]] if causal else [[300.0], [640.0]])
    found = dmd.matching_gradient(
        x0, real, fake, noise, timesteps, conditioning, Guidance(1 + guidance, empty)
    )

    t = timesteps.double().repeat_interleave(6 // timesteps.shape[1], dim=1)
    sigma = per_frame(t / 1000)
    noisy = (1 - sigma) * x0.double() + sigma * noise.double()
    of_fake = noisy - sigma * flow(fake, noisy, t, conditioning)
    cond = noisy - sigma * flow(real, noisy, t, conditioning)
    uncond = noisy - sigma * flow(real, noisy, t, empty.repeated(2))
    of_real = cond + guidance * (cond - uncond)
    for n in range(2):
        scale = (x0[n].double() - of_real[n]).abs().mean()
        expected = (of_fake[n] - of_real[n]) / scale
        assert (found.values[n] - expected).abs().max() < 1e-4 * expected.std()
        distance = (of_fake[n] - of_real[n]).abs().mean().item()
        assert found.distance[n].item() == pytest.approx(distance, rel=1e-4)


def test_one_timestep_for_all_blocks_is_one_a_block():
    scores = Network.of(make_model(1), RECIPE), bidirectional(2)
    arguments = (latents(1), *scores, latents(2))
    found = [
        dmd.matching_gradient(*arguments, torch.tensor(t), prompts(), Guidance()).values
        for t in ([[300.0], [640.0]], [[300.0, 300.0], [640.0, 640.0]])
    ]
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


def test_the_loss_hands_the_gradient_to_x0():
    x0 = latents(1).requires_grad_()
    learned = torch.ones(2, 6, dtype=torch.bool)
    learned[0, :3] = False
    wanted = latents(2)
    loss = dmd.generator_loss(dmd.Sample(x0, learned), dmd.Gradient(wanted, torch.zeros(2)))
    loss.backward()
    values = (learned.sum() * 16 * SIZE[0] * SIZE[1]).item()
    expected = wanted * per_frame(learned) / values
    torch.testing.assert_close(x0.grad, expected, atol=1e-9, rtol=1e-5)
    masked = (wanted.double() * per_frame(learned)).square().sum().item()
    assert loss.item() == pytest.approx(0.5 * masked / values, rel=1e-9)


def test_equal_scores_leave_the_student_alone():
    real, fake = bidirectional(1), bidirectional(1)
    found = dmd.matching_gradient(
        latents(1), real, fake, latents(2), torch.tensor([[300.0]] * 2), prompts(), Guidance()
    )
    assert found.values.count_nonzero() == 0


def test_a_perfect_teacher_gives_no_infinity():
    """x0 that the real estimate equals has nothing to be divided by."""
    exact = bidirectional(1)
    with torch.no_grad():
        for parameter in exact.bound.tree.parameters():
            parameter.zero_()
    x0 = torch.zeros(1, 16, 6, *SIZE)
    found = dmd.matching_gradient(
        x0,
        exact,
        exact,
        torch.zeros_like(x0),
        torch.tensor([[500.0]]),
        prompts(lengths=(3,)),
        Guidance(),
    )
    assert found.values.isfinite().all()


def test_the_critic_learns_the_flow_of_samples():
    critic, conditioning = bidirectional(2), prompts()
    x0, noise, timesteps = latents(1).requires_grad_(), latents(2), torch.tensor([[300.0], [40.0]])
    sample = dmd.Sample(x0, torch.ones(2, 6, dtype=torch.bool))
    loss = dmd.critic_loss(critic, sample, noise, timesteps, conditioning)
    sigma = timesteps.double()[:, None, :, None, None] / 1000
    noisy = (1 - sigma) * x0.detach().double() + sigma * noise.double()
    t = timesteps.repeat_interleave(6, dim=1)
    error = flow(critic, noisy, t, conditioning) - (noise.double() - x0.detach().double())
    assert loss.item() == pytest.approx(error.square().mean().item(), rel=1e-5)
    loss.backward()
    assert x0.grad is None and gradients(critic).abs().sum() > 0


@pytest.mark.parametrize("teacher_forcing", [False, True])
def test_flow_matching_counts_what_is_learned(teacher_forcing):
    """A causal network, each latent frame at its own timestep, under either forcing."""
    network, conditioning = student(), prompts()
    x0, noise, learned = (
        latents(1),
        latents(2),
        torch.tensor([[True] * 6, [False] * 3 + [True] * 3]),
    )
    t = torch.tensor([[300.0] * 3 + [900.0] * 3, [40.0] * 3 + [550.0] * 3])
    loss = flow_matching_loss(
        network, x0, noise, t, conditioning, learned, teacher_forcing=teacher_forcing
    )
    sigma = per_frame(t.double() / 1000)
    noisy = (1 - sigma) * x0.double() + sigma * noise.double()
    clean = {"clean": x0[:, :, :3]} if teacher_forcing else {}
    flows = cv.forward_all(network.bound, noisy.float(), t, conditioning.context, **clean)
    error = (flows.double() - (noise - x0).double()).square() * per_frame(learned)
    expected = error.sum() / (learned.sum() * 16 * SIZE[0] * SIZE[1])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_samples_from_data_are_denoised_from_the_students_levels():
    network, data, noise = student(), latents(3), latents(4)
    drawn = torch.tensor([[0, 2], [3, 1]])
    sample = dmd.sample_from_data(network, data, noise, SCHEDULE, drawn, prompts())
    frames = drawn.repeat_interleave(3, dim=1)
    timesteps = torch.tensor([*SCHEDULE.timesteps, 0.0])[frames]
    sigma = per_frame(torch.tensor([*SCHEDULE.sigmas, 0.0]).double()[frames])
    noisy = (1 - sigma) * data.double() + sigma * noise.double()
    expected = noisy - sigma * flow(network, noisy, timesteps, prompts())
    assert (sample.x0 - expected).abs().max() < 1e-4 * expected.std()
    assert sample.loss_mask.tolist() == [[True] * 6, [False] * 3 + [True] * 3]
    assert torch.equal(sample.x0[1, :, :3], data[1, :, :3])


@pytest.mark.parametrize("inputs", ["data", "self_rollout"])
def test_each_step_reaches_its_own_network_only(inputs):
    network, real, fake = student(), bidirectional(1), bidirectional(2)
    timesteps, empty = torch.tensor([[300.0], [640.0]]), prompts(8, lengths=(2,))

    def make():
        if inputs == "data":
            drawn = torch.tensor([[0, 2], [1, 1]])
            return dmd.sample_from_data(network, latents(3), latents(4), SCHEDULE, drawn, prompts())
        return self_rollout(network, RECIPE, (2, 16, 6, *SIZE), prompts(), seeded_noise(1), 1)

    sample = make()
    gradient = dmd.matching_gradient(
        sample.x0, real, fake, latents(2), timesteps, prompts(), Guidance(4.5, empty)
    )
    assert not gradient.values.requires_grad
    dmd.generator_loss(sample, gradient).backward()
    assert gradients(network).abs().sum() > 0 and untouched(real) and untouched(fake)
    network.bound.tree.zero_grad()
    dmd.critic_loss(fake, make(), latents(5), timesteps, prompts()).backward()
    assert gradients(fake).abs().sum() > 0 and untouched(real) and untouched(network)


class Bell:
    """A network that knows exactly the flow of independent Gaussian latents."""

    causal = False

    def __init__(self, mean, deviation):
        self.mean, self.variance = mean, deviation**2

    def flow(self, noisy, timesteps, conditioning):
        sigma = per_frame(timesteps) / 1000
        share = (1 - sigma) * self.variance / ((1 - sigma) ** 2 * self.variance + sigma**2)
        x0 = self.mean + share * (noisy - (1 - sigma) * self.mean)
        return (noisy - (1 - sigma) * x0) / sigma - x0


def test_exact_scores_lead_to_the_teachers_distribution():
    """A student of two numbers, and a critic that always knows what it makes."""
    mean, log_deviation = (
        torch.tensor(-1.0, requires_grad=True),
        torch.tensor(0.0, requires_grad=True),
    )
    real, generator = Bell(2.0, 0.5), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam([mean, log_deviation], lr=0.03)
    learned = torch.ones(16, 2, dtype=torch.bool)
    for _ in range(400):
        z, noise = (torch.randn(16, 4, 2, 4, 4, generator=generator) for _ in range(2))
        x0 = mean + log_deviation.exp() * z
        fake = Bell(mean.item(), log_deviation.exp().item())
        timesteps = dmd.draw_timesteps(generator, 16, shift=5.0)
        gradient = dmd.matching_gradient(x0, real, fake, noise, timesteps, None, Guidance())
        optimizer.zero_grad()
        dmd.generator_loss(dmd.Sample(x0, learned), gradient).backward()
        optimizer.step()
    assert mean.item() == pytest.approx(2.0, abs=0.1)
    assert log_deviation.exp().item() == pytest.approx(0.5, abs=0.1)


def test_timesteps_are_warped_and_clamped():
    generator = torch.Generator().manual_seed(0)
    drawn = dmd.draw_timesteps(generator, 2000, 2, shift=8.0)
    assert drawn.shape == (2000, 2) and drawn.min() == 20 and drawn.max() == 980
    inside = drawn[(drawn > 20) & (drawn < 980)] / 1000
    uniform = inside / (8 - 7 * inside)  # the shift undone
    table = uniform * 1000
    assert (table - table.round()).abs().max() < 1e-2
    # 980 and above is where u is above 0.8596; 20 and below where it is up to 0.00254.
    assert (drawn == 980).float().mean().item() == pytest.approx(1 - 0.8596, abs=0.02)
    assert uniform.quantile(0.5).item() == pytest.approx(0.8596 / 2, abs=0.02)
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


def test_noising_is_a_straight_line():
    x0, noise = latents(1), latents(2)
    sigmas = torch.tensor([[0.0] * 3 + [1.0] * 3, [0.25] * 6])
    found = add_noise(x0, noise, sigmas)
    assert torch.equal(found[0, :, :3], x0[0, :, :3])
    assert torch.equal(found[0, :, 3:], noise[0, :, 3:])
    torch.testing.assert_close(found[1], 0.75 * x0[1] + 0.25 * noise[1])
