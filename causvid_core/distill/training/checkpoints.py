"""Saving and resuming a run, on any number of processes (torch.distributed.checkpoint).

A checkpoint is a folder of safetensors files, one a process, and nothing in it is pickled. It
holds the weights and optimisers of every network that learns, the average, and how many steps
were done. There is no more to a run: what a step draws follows from its number and the seed.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from ..ema import EMA
from .learner import Learner
from .ranks import Ranks

_NAME = re.compile(r"step_(\d{7,})$")
_FLAT = StateDictOptions(flatten_optimizer_state_dict=True)


class CheckpointDamaged(ValueError):
    """A checkpoint that cannot be read; the message says which and what else there is."""


def checkpoints(folder: Path) -> dict[int, Path]:
    """The finished checkpoints of a run by their number of steps, the oldest first."""
    found = {}
    if folder.is_dir():
        for path in folder.iterdir():
            if match := _NAME.match(path.name):
                found[int(match[1])] = path
    return dict(sorted(found.items()))


def save(
    folder: Path,
    steps: int,
    learners: Mapping[str, Learner],
    ema: EMA | None,
    ranks: Ranks,
    keep: int,
) -> Path:
    """Write a checkpoint and remove all but the `keep` newest; every process has to call it.

    It has its name only when all of it is on the disk.
    """
    target = folder / f"step_{steps:07d}"
    part = folder / f"step_{steps:07d}.part"
    if ranks.first:
        shutil.rmtree(part, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    ranks.wait()
    tensors, _ = _tensors(learners, ema, torch.tensor([steps]))
    dcp.save(tensors, storage_writer=dcp.HuggingFaceStorageWriter(str(part), save_distributed=True))
    ranks.wait()
    if ranks.first:
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        for old in list(checkpoints(folder).values())[:-keep]:
            shutil.rmtree(old)
    ranks.wait()
    return target


def load(path: Path, learners: Mapping[str, Learner], ema: EMA | None) -> int:
    """Take a checkpoint's weights, optimisers and average over, and return its steps.

    Mutates the learners and the average. Raises CheckpointDamaged.
    """
    steps = torch.zeros(1, dtype=torch.int64)
    tensors, optimizers = _tensors(learners, ema, steps)
    read(path, tensors)
    for name, learner in learners.items():
        set_optimizer_state_dict(
            learner.bound.tree, learner.optimizers, optimizers[name], options=_FLAT
        )
    return int(steps)


def read(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fill tensors, split or whole, with those of the same names. Raises CheckpointDamaged."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
            dcp.load(dict(tensors), storage_reader=dcp.HuggingFaceStorageReader(str(path)))
    except (dcp.CheckpointException, SafetensorError, OSError, KeyError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointDamaged(
            f"{path} cannot be read ({lines[-1]}): it is damaged or of another config. Remove it "
            "to go on from the one before it"
        ) from error


def _tensors(
    learners: Mapping[str, Learner], ema: EMA | None, steps: Tensor
) -> tuple[dict[str, Tensor], dict[str, dict]]:
    """Everything to be saved, sharing memory with what is in use, and the optimisers' states."""
    tensors: dict[str, Tensor] = {"run.steps": steps}
    optimizers = {}
    for name, learner in learners.items():
        for key, parameter in learner.bound.tree.named_parameters():
            tensors[f"{name}.{key}"] = parameter.detach()
        state = get_optimizer_state_dict(learner.bound.tree, learner.optimizers, options=_FLAT)
        optimizers[name] = state
        for key, value in state.items():
            if isinstance(value, Tensor):
                # A number has no side to cut a piece from, which the format asks for.
                tensors[f"{name}_optimizer.{key}"] = value if value.ndim else value.view(1)
    for key, value in (ema.state_dict() if ema else {}).items():
        tensors[f"average.{key}"] = value
    return tensors, optimizers
