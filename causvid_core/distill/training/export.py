"""A finished run's weights as a checkpoint that ComfyUI, our nodes and `convert` open."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...model.checkpoints import convert
from ...model.transformer import CausalWan
from .checkpoints import checkpoints, read
from .settings import Experiment
from .tables import ConfigError, read_table

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

    The average of the weights where the run keeps one, unless `raw`. Needs no group of processes
    and no device; one copy of the model in float32 is held. Raises ConfigError for a folder that
    is no run or has no such step, CheckpointDamaged for files that cannot be read.
    """
    run = Path(run).expanduser()
    experiment, found = read_run(run), checkpoints(run)
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


def read_run(run: Path) -> Experiment:
    """The config that a run began with. Raises ConfigError for a folder that is no run."""
    path = run / "config.json"
    try:
        table = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run} is no folder of a run: it has no readable config.json") from error
    return read_table(Experiment, _given(table), str(path))


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without what was left out."""
    return {
        key: _given(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }
