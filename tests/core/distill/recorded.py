"""One step of every loss on fixed numbers: `python -m tests.core.distill.recorded` writes them.

Weights and inputs are sines of their index, so that they are the same on any machine. What is
recorded is the loss, the norm of its gradient, and the loss after one step of AdamW.
"""

import json
from pathlib import Path

import torch

import causvid_core as cv
from causvid_core.distill.conditioning import Conditioning
from causvid_core.distill.dmd import (
    Sample,
    critic_loss,
    generator_loss,
    matching_gradient,
    sample_from_data,
)
from causvid_core.distill.guidance import Guidance
from causvid_core.distill.network import Network, flow_matching_loss
from causvid_core.distill.ode import ode_regression_loss, trajectory
from causvid_core.distill.rollout_training import self_rollout

from .small import SIZE, gradients, make_model

PATH = Path(__file__).with_name("recorded.json")
RECIPE = cv.recipes["causvid"]
SCHEDULE = RECIPE.schedule(0)


def waves(start, *shape):
    count = torch.Size(shape).numel()
    return torch.sin(start + 1.7 * torch.arange(count, dtype=torch.float64)).float().view(shape)


def model(start):
    made = make_model()
    with torch.no_grad():
        for number, parameter in enumerate(made.parameters()):
            parameter.copy_(0.2 * waves(start + 0.3 * number, *parameter.shape))
    return made


def latents(start):
    return 1.4 * waves(start, 2, 16, 6, *SIZE)


def losses():
    """The loss of every stage by name: a function of the network that learns, and that network."""
    student, critic = Network.of(model(1), RECIPE), Network.bidirectional(model(2))
    teacher = Network.bidirectional(model(3))
    texts = Conditioning.of([waves(4, 5, 12), waves(5, 3, 12)])
    guidance = Guidance(4.5, Conditioning.of([waves(6, 2, 12)]))
    drawn, noise = torch.tensor([[0, 2], [3, 1]]), latents(8)
    levels = torch.tensor([[300.0], [640.0]])
    made = Sample(latents(9), torch.ones(2, 6, dtype=torch.bool))

    def matched(network, sample):
        return generator_loss(
            sample, matching_gradient(sample.x0, teacher, critic, noise, levels, texts, guidance)
        )

    def regression(network):
        kept = trajectory(teacher, noise, texts, guidance, SCHEDULE, steps=10)
        return ode_regression_loss(network, kept.states, SCHEDULE, drawn, texts)

    def from_data(network):
        return matched(
            network, sample_from_data(network, latents(7), noise, SCHEDULE, drawn, texts)
        )

    def rolled_out(network):
        def noise_of(block, step, shape):
            return 1.4 * waves(10 + block + 0.1 * step, *shape)

        return matched(network, self_rollout(network, RECIPE, noise.shape, texts, noise_of, 1))

    return {
        "flow matching": (
            lambda n: flow_matching_loss(n, latents(7), noise, levels, texts),
            critic,
        ),
        "ode regression": (regression, student),
        "dmd from data": (from_data, student),
        "dmd self-rollout": (rolled_out, student),
        "critic": (lambda n: critic_loss(n, made, noise, levels, texts), critic),
    }


def measure():
    """What is recorded, by name."""
    measured = {}
    for name in losses():
        loss_of, network = losses()[name]
        optimizer = torch.optim.AdamW(network.bound.tree.parameters(), lr=1e-3)
        loss = loss_of(network)
        loss.backward()
        norm = gradients(network).norm()
        optimizer.step()
        with torch.no_grad():
            after = loss_of(network)
        measured[name] = [float(value) for value in (loss.detach(), norm, after)]
    return measured


if __name__ == "__main__":
    PATH.write_text(json.dumps(measure(), indent=2) + "\n", encoding="utf-8")
