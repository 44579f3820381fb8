"""The exponential moving average of a model's weights, which is what `export` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Averages of all parameters of a model in float32, sharded as the parameters are.

    Before `start_step` they equal the weights, so that early weights do not hold them back.
    """

    def __init__(self, model: nn.Module, decay: float = 0.99, start_step: int = 0) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of the average is {decay}; it must be from 0 to below 1")
        self.decay, self.start_step = decay, start_step
        self.weights: dict[str, Tensor] = {
            name: parameter.detach().float().clone() for name, parameter in model.named_parameters()
        }

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow the weights after optimiser step `step`, counted from 0. Mutates the averages."""
        decay = self.decay if step >= self.start_step else 0.0
        for name, parameter in model.named_parameters():
            self.weights[name].lerp_(parameter.detach().float(), 1 - decay)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averages for weights while the context lasts. Mutates the model."""
        own = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        try:
            _set(model, self.weights)
            yield
        finally:
            _set(model, own)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by the names of the parameters; shares memory."""
        return dict(self.weights)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over saved averages. Raises ValueError when they are of another model."""
        if missing := sorted(set(self.weights) ^ set(state)):
            raise ValueError(f"the saved average is of another model: {missing[0]} does not fit")
        for name, average in self.weights.items():
            average.copy_(state[name])


@torch.no_grad()
def _set(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
