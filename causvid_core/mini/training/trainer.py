"""The loop that every training command shares: seeded by step, resumable, averaged.

Each step draws its data from a generator seeded by (seed, step) alone, so that a run that was
killed and resumed gives the weights of one that was not.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .parallel import average_gradients, is_first

log = logging.getLogger("causvid")

Loss = Callable[[int, torch.Generator], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class TrainSettings:
    steps: int
    seed: int = 0
    warmup_steps: int = 100
    final_lr_share: float = 0.02  # of the first learning rate, at the end of the cosine
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    checkpoint_every: int = 250
    log_every: int = 50


def step_generator(seed: int, step: int) -> torch.Generator:
    """A generator for one step's data and noise."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63))


def learning_rate_share(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then half a cosine down to `final_lr_share`."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    fall = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return warm * (settings.final_lr_share + (1 - settings.final_lr_share) * fall)


def train(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    loss_of_step: Loss,
    settings: TrainSettings,
    checkpoint: Path,
) -> dict[str, Tensor]:
    """Run the remaining steps and return the averaged weights.

    Mutates the model and the optimizers. `checkpoint` is read where it exists and replaced every
    `checkpoint_every` steps; a line of JSON per `log_every` steps goes to `<checkpoint>.jsonl`.
    """
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    base_rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        average, first = saved["average"], saved["step"]
        log.info("resuming %s at step %d of %d", checkpoint.name, first, settings.steps)

    model.train()
    started, seen = time.monotonic(), {}
    for step in range(first, settings.steps):
        share = learning_rate_share(step, settings)
        for optimizer, rates in zip(optimizers, base_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
        loss, figures = loss_of_step(step, step_generator(settings.seed, step))
        loss.backward()
        average_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        _follow(average, model, min(settings.ema_decay, (step + 1) / (step + 10)))

        for name, value in figures.items():
            seen.setdefault(name, []).append(value)
        done = step + 1
        if not is_first():
            continue
        if done % settings.log_every == 0 or done == settings.steps:
            seconds = (time.monotonic() - started) / (done - first)
            line = {"step": done, "seconds_per_step": round(seconds, 4)}
            line |= {name: round(sum(values) / len(values), 5) for name, values in seen.items()}
            log.info("%s", line)
            with open(f"{checkpoint}.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            seen = {}
        if done % settings.checkpoint_every == 0 or done == settings.steps:
            _save(checkpoint, model, optimizers, average, done)
    return average


@torch.no_grad()
def _follow(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Move the running average towards the model. Mutates `average`."""
    for name, value in model.state_dict().items():
        average[name].lerp_(value, 1 - decay)


def _save(path: Path, model, optimizers, average, step: int) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "model": model.state_dict(),
            "average": average,
            "optimizers": [o.state_dict() for o in optimizers],
            "step": step,
        },
        part,
    )
    os.replace(part, path)
