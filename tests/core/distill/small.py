"""Small models and fixed numbers for the tests of distillation."""

import torch

import causvid_core as cv
from causvid_core.distill.conditioning import Conditioning
from causvid_core.distill.network import Network

SIZE = (4, 6)
SHIFT = 5.0


def make_model(seed=0, **sizes):
    """A small model whose output is far from zero."""
    config = {"dim": 32, "ffn_dim": 48, "freq_dim": 16, "text_dim": 12, "text_len": 64}
    config |= {"num_heads": 2, "num_layers": 2}
    generator = torch.Generator().manual_seed(seed)
    model = cv.CausalWan(cv.WanConfig(**{**config, **sizes}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15, generator=generator)
    return model


def bidirectional(seed=0):
    return Network.bidirectional(make_model(seed))


def latents(seed, batch=2, frames=6):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 16, frames, *SIZE, generator=generator)


def prompts(seed=1, lengths=(5, 3)):
    """A prompt of its own for every clip of a batch."""
    generator = torch.Generator().manual_seed(seed)
    return Conditioning.of([torch.randn(n, 12, generator=generator) for n in lengths])


def gradients(network):
    """All gradients in one vector; zeros where there is none."""
    parameters = network.bound.tree.parameters()
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    )


def untouched(network):
    return all(p.grad is None for p in network.bound.tree.parameters())


def per_frame(values):
    return values[:, None, :, None, None]
