"""The training loop of the Mini's small networks, from the parts that train transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...distill.ema import EMA
from ...distill.training.learner import Learner
from ...distill.training.metrics import Metrics
from ...distill.training.network_settings import Optimizer
from ...distill.training.ranks import joined
from ...distill.training.saved_runs import load, save, saved_runs
from ..world import generator_of

Loss = Callable[[int, torch.Generator], tuple[Tensor, dict[str, float]]]
"""loss(step, generator) -> the loss of a step, and figures to report."""


def optimizer(lr: float, *, warmup_steps: int = 100, **settings: Any) -> Optimizer:
    """As all parts of the Mini learn: gradients clipped to 1, a rate that falls to 2 %."""
    return Optimizer(
        lr=lr, warmup_steps=warmup_steps, clip_norm=1.0, final_lr_share=0.02, **settings
    )


@dataclass(frozen=True)
class Loop:
    """How to train: for how many steps, and how the average of the weights follows."""

    steps: int
    optimizer: Optimizer
    seed: int = 0
    ema_decay: float = 0.999
    checkpoint_every: int = 250
    log_every: int = 50


def train(module: nn.Module, loss_of_step: Loss, settings: Loop, folder: Path) -> dict[str, Tensor]:
    """Run the remaining steps; returns the averaged parameters. Mutates the module.

    The newest checkpoint in `folder` is resumed. Each step draws from a generator that its number
    and the seed decide, so that an interrupted training ends with the weights of a whole one.
    """
    module.train()
    with joined("cpu") as ranks:
        learners = {"model": Learner(module, settings.optimizer, settings.steps, ranks)}
        average = EMA(module, settings.ema_decay, settings.optimizer.warmup_steps)
        first = max(saved_runs(folder), default=0)
        if first:
            load(saved_runs(folder)[first], learners, average)
        folder.mkdir(parents=True, exist_ok=True)
        with Metrics(folder, first, settings.steps, settings.log_every, False) as metrics:
            for step in range(first, settings.steps):
                loss, figures = loss_of_step(step, generator_of(settings.seed, step))
                learned = learners["model"].learn(step, [loss])
                average.update(module, step)
                metrics.add(step + 1, learned | figures)
                if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                    save(folder, step + 1, learners, average, ranks, keep=1)
    return average.state_dict()
