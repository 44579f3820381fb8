"""A module that learns: its optimisers, its learning rate, and one update from many passes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from .network_settings import Optimizer
from .networks import whole
from .ranks import Ranks


class NotFinite(ArithmeticError):
    """A loss or a gradient is not finite; no weight has changed."""


class Learner:
    """A module with optimisers for the parameters that take gradients.

    `updates` is how many updates there will be in all, for the learning rate.
    """

    def __init__(self, module: nn.Module, settings: Optimizer, updates: int, ranks: Ranks) -> None:
        self.module, self._settings, self._updates, self._ranks = module, settings, updates, ranks
        self.optimizers = _optimizers(module, settings)
        self._base = [group["lr"] for o in self.optimizers for group in o.param_groups]

    def learn(self, update: int, losses: Iterable[Tensor]) -> dict[str, float]:
        """One update, from the losses of this process's passes; mutates the module.

        The loss of the step is the sum over the passes and the mean over the processes. Every
        loss is freed before the next is asked for. Returns the loss, the norm of the gradient
        before it was clipped and the learning rate. Raises NotFinite, on every process, before
        the weights have changed.
        """
        total = torch.zeros((), dtype=torch.float64)
        for loss in losses:
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach().to("cpu", torch.float64)
        norm = float(whole(clip_grad_norm_(self.module.parameters(), self._settings.clip_norm)))
        mean = float(self._ranks.mean(total))
        if not (math.isfinite(mean) and math.isfinite(norm)):
            self._clear()
            raise NotFinite(f"the loss is {mean:g} and the norm of its gradient {norm:g}")
        share = self._lr_share(update)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, self._base, strict=True):
            group["lr"] = rate * share
        for optimizer in self.optimizers:
            optimizer.step()
        self._clear()
        return {"loss": mean, "gradient_norm": norm, "lr": self._settings.lr * share}

    def _lr_share(self, update: int) -> float:
        """The share of the learning rate: a linear rise, then half a cosine down."""
        settings = self._settings
        rise = min(1.0, (update + 1) / max(1, settings.warmup_steps))
        fall = 0.5 * (1 + math.cos(math.pi * update / self._updates))
        return rise * (settings.final_lr_share + (1 - settings.final_lr_share) * fall)

    def _clear(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)


def _optimizers(module: nn.Module, settings: Optimizer) -> list[torch.optim.Optimizer]:
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        in_layer = name.startswith("blocks.") and parameter.ndim == 2
        if parameter.requires_grad:
            (matrices if settings.kind == "muon" and in_layer else others).append(parameter)
    first, second = settings.betas
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            others, settings.lr, (first, second), weight_decay=settings.weight_decay, fused=True
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
