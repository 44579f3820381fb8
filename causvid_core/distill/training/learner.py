"""A network that learns: its optimisers, its learning rate, and one update from many passes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ...model.binding import BoundWan
from .networks import whole
from .ranks import Ranks
from .settings import Optimizer


class NotFinite(ArithmeticError):
    """A loss or a gradient is infinite or no number; nothing was changed by it."""


class Learner:
    """A network with optimisers. `updates` is how many updates there will be, for the schedule."""

    def __init__(self, bound: BoundWan, settings: Optimizer, updates: int, ranks: Ranks) -> None:
        self.bound, self._settings, self._updates, self._ranks = bound, settings, updates, ranks
        self.optimizers = _optimizers(bound, settings)
        self._base = [group["lr"] for o in self.optimizers for group in o.param_groups]

    def learn(self, update: int, losses: Iterable[Tensor]) -> dict[str, float]:
        """One update, from the losses of this process's passes; mutates the network.

        The loss of the step is the sum over the passes and the mean over the processes. Every
        loss is let go before the next is asked for. Returns the loss, the norm of the gradient
        before it was clipped and the learning rate. Raises NotFinite, on every process, before
        the weights have changed.
        """
        total = torch.zeros((), dtype=torch.float64)
        for loss in losses:
            loss.backward()
            total += loss.detach().to("cpu", torch.float64)
        norm = float(whole(clip_grad_norm_(self.bound.tree.parameters(), self._settings.clip_norm)))
        mean = float(self._ranks.mean(total))
        if not (math.isfinite(mean) and math.isfinite(norm)):
            self._clear()
            raise NotFinite(f"the loss is {mean:g} and the norm of its gradient {norm:g}")
        share = self._share(update)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, self._base, strict=True):
            group["lr"] = rate * share
        for optimizer in self.optimizers:
            optimizer.step()
        self._clear()
        return {"loss": mean, "gradient_norm": norm, "lr": self._settings.lr * share}

    def _share(self, update: int) -> float:
        """Of the learning rate: a linear rise, then half a cosine down to what is left."""
        settings = self._settings
        rise = min(1.0, (update + 1) / max(1, settings.warmup_steps))
        fall = 0.5 * (1 + math.cos(math.pi * update / self._updates))
        return rise * (settings.final_lr_share + (1 - settings.final_lr_share) * fall)

    def _clear(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)


def _optimizers(bound: BoundWan, settings: Optimizer) -> list[torch.optim.Optimizer]:
    parameters = dict(bound.tree.named_parameters())
    matrices, others = [], []
    for name, parameter in parameters.items():
        in_layer = name.startswith("blocks.") and parameter.ndim == 2
        (matrices if settings.kind == "muon" and in_layer else others).append(parameter)
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            others,
            settings.lr,
            tuple(settings.betas),
            weight_decay=settings.weight_decay,
            fused=True,
        )
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                settings.matrix_lr,
                weight_decay=settings.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers
