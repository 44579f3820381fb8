"""A fixed batch of clips and openings, learned after clean blocks, and what is recorded of it.

`mixed.json` holds the loss and the gradients that the Mini's first trainer, which is no longer
here, gave for this batch: in float32, and the loss in bfloat16 as it trained.
"""

from pathlib import Path
from typing import NamedTuple

import torch

import causvid_core as cv

from .recorded import waves

PATH = Path(__file__).with_name("mixed.json")
RECIPE = cv.recipes["causvid-mini"]
SHAPE = {"dim": 32, "ffn_dim": 48, "freq_dim": 16, "text_dim": 12, "text_len": 64}
SHAPE |= {"num_heads": 2, "num_layers": 2}
SIZE = (4, 4)
GIVEN_FRAMES = 3
CONTEXT_NOISE = 0.1


class Fixed(NamedTuple):
    """One part of the batch: latents, noise and context noise [B, 16, T, h, w], the share [B] of
    the context noise, timesteps [B, blocks] and encoded prompts [l, 12].
    """

    latents: torch.Tensor
    noise: torch.Tensor
    context_noise: torch.Tensor
    context_share: torch.Tensor
    timesteps: torch.Tensor
    prompts: list[torch.Tensor]


def part(start, count, frames, timesteps):
    shape = (count, 16, frames, *SIZE)
    return Fixed(
        1.3 * waves(start, *shape),
        1.4 * waves(start + 0.1, *shape),
        1.4 * waves(start + 0.2, *shape),
        torch.linspace(0.2, 0.9, count),
        torch.tensor(timesteps),
        [waves(start + 0.3 * n, 3 + n, 12).half().float() for n in range(count)],
    )


CLIPS = part(1, 2, 12, [[1000.0, 900.0, 650.0, 350.0], [120.5, 650.0, 1000.0, 770.25]])
OPENINGS = part(2, 4, 3, [[1000.0], [350.0], [42.0], [900.0]])


def fixed_weights(model):
    """Mutates the model."""
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(0.2 * waves(5 + 0.3 * number, *parameter.shape))


def measured(loss, parameters):
    """The loss, and of the gradient of each parameter its norm and a projection of it."""
    gradients = {
        name: [
            float(gradient.double().norm()),
            float((gradient.double() * waves(7, *gradient.shape).double()).sum()),
        ]
        for name, gradient in parameters
    }
    return {"loss": float(loss), "gradients": gradients}
