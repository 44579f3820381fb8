"""Export a run's weights as a checkpoint that ComfyUI, our nodes and `convert` open."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from ...model.checkpoints import convert
from ...model.transformer import CausalWan
from .saved_runs import read, read_run, saved_runs
from .tables import ConfigError

log = logging.getLogger("causvid")


def export(
    run: str | Path,
    target: str | Path,
    *,
    raw: bool = False,
    step: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> Path:
    """Write the model of a run's newest checkpoint, or of one `step`, to a safetensors file.

    Writes the average of the weights where the run keeps one, unless `raw`. Needs no group of
    processes and no device; holds one copy of the model in float32. Raises ConfigError for a
    folder without a run or without that step, SavedRunDamaged for files that cannot be read.
    """
    run = Path(run).expanduser()
    experiment, found = read_run(run), saved_runs(run)
    if step is None:
        step = max(found, default=0)
    if step not in found:
        steps = ", ".join(map(str, found)) or "none yet"
        raise ConfigError(f"{run} has no checkpoint of step {step}; it has {steps}")
    averaged = experiment.ema is not None and not raw
    prefix = "average" if averaged else "model"
    config = experiment.model.config
    with torch.device("meta"):
        shapes = CausalWan(config).state_dict()
    weights = {name: torch.empty(tensor.shape) for name, tensor in shapes.items()}
    read(found[step], {f"{prefix}.{name}": tensor for name, tensor in weights.items()})
    path = convert(
        weights,
        target,
        dtype=dtype,
        config=config,
        causal=experiment.model.causal,
        repository=f"{run.name}, step {step}, {'average' if averaged else 'raw'} weights",
    )
    log.info("step %d of %s, %s weights", step, run, "average" if averaged else "raw")
    return path
