"""Saving and resuming a run, on any number of processes (torch.distributed.checkpoint).

A checkpoint is a folder of safetensors files, one a process; nothing in it is pickled. It holds
the weights and optimisers of every module that learns, the average, and how many steps were done.
Nothing else is needed: what a step draws follows from its number and the seed.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load as load_tensors
from torch.distributed.checkpoint.state_dict_saver import save as save_tensors

from ...storage.atomic import sync_files, sync_folder
from ..ema import EMA
from .learner import Learner
from .ranks import Ranks
from .settings import Experiment
from .tables import ConfigError, read_table, saved_table

CONFIG = "config.json"
_NAME = re.compile(r"step_(\d{7,})$")
_FLAT = StateDictOptions(flatten_optimizer_state_dict=True)


class SavedRunDamaged(ValueError):
    """A checkpoint that cannot be read; the message says which and what else there is."""


def saved_runs(folder: Path) -> dict[int, Path]:
    """The finished checkpoints of a run by their number of steps, the oldest first."""
    found = [(match, path) for path in folder.glob("step_*") if (match := _NAME.match(path.name))]
    return dict(sorted((int(match[1]), path) for match, path in found))


def save(
    folder: Path,
    steps: int,
    learners: Mapping[str, Learner],
    ema: EMA | None,
    ranks: Ranks,
    keep: int,
) -> None:
    """Write a checkpoint and delete all but the `keep` newest; every process has to call it.

    The folder gets its name when all of it is on the disk.
    """
    target = folder / f"step_{steps:07d}"
    part = folder / f"step_{steps:07d}.part"
    if ranks.first:
        shutil.rmtree(part, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    ranks.wait()
    tensors, _ = _tensors(learners, ema)
    tensors["run.steps"] = torch.tensor([steps])
    writer = HuggingFaceStorageWriter(str(part), save_distributed=True)
    save_tensors(_packed(tensors), storage_writer=writer)
    ranks.wait()
    if ranks.first:
        shutil.rmtree(target, ignore_errors=True)
        sync_files(part)
        part.rename(target)
        sync_folder(folder)
        for old in list(saved_runs(folder).values())[:-keep]:
            shutil.rmtree(old)
    ranks.wait()


def load(path: Path, learners: Mapping[str, Learner], ema: EMA | None) -> None:
    """Load a checkpoint's weights, optimisers and average into these. Raises SavedRunDamaged."""
    tensors, optimizers = _tensors(learners, ema)
    read(path, tensors)
    for name, learner in learners.items():
        set_optimizer_state_dict(
            learner.module, learner.optimizers, optimizers[name], options=_FLAT
        )


@torch.no_grad()
def read(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fill tensors, sharded or whole, with those of the same names. Raises SavedRunDamaged."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
            packed = _packed(tensors)
            load_tensors(packed, storage_reader=HuggingFaceStorageReader(str(path)))
            for name, tensor in tensors.items():
                if packed[name] is not tensor:
                    tensor.copy_(packed[name])
    except (CheckpointException, SafetensorError, OSError, KeyError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise SavedRunDamaged(
            f"{path} cannot be read ({lines[-1]}): it is damaged or of another config. Delete it "
            "to resume from the one before it"
        ) from error


def _packed(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The tensors, copied where they are laid out otherwise than safetensors can be."""
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def read_run(run: Path) -> Experiment:
    """The config that a run began with. Raises ConfigError for a folder without a run."""
    path = run / CONFIG
    try:
        table = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run} does not hold a run: it has no readable {CONFIG}") from error
    return read_table(Experiment, saved_table(table), str(path))


def _tensors(
    learners: Mapping[str, Learner], ema: EMA | None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Everything that is saved and loaded, sharing memory, and the optimisers' states."""
    tensors: dict[str, Any] = {}
    optimizers = {}
    for name, learner in learners.items():
        for key, parameter in learner.module.named_parameters():
            tensors[f"{name}.{key}"] = parameter.detach()
        state: dict[str, Any] = get_optimizer_state_dict(
            learner.module, learner.optimizers, options=_FLAT
        )
        optimizers[name] = state
        for key, value in state.items():
            if isinstance(value, Tensor):
                # The format cuts tensors along a side, which a number does not have.
                tensors[f"{name}_optimizer.{key}"] = value if value.ndim else value.view(1)
    for key, value in (ema.state_dict() if ema else {}).items():
        tensors[f"average.{key}"] = value
    return tensors, optimizers
