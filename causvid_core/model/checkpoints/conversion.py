"""Any checkpoint to the safetensors file that ComfyUI's own loader opens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ...storage.atomic import real_path, same_file
from ...storage.safetensors_file import CHECKPOINT_LIMITS, write
from ..config import HEAD_DIM, WanConfig
from .checkpoint import METADATA_KEY, Checkpoint, Source, open_checkpoint
from .errors import CheckpointError
from .lora import apply_lora

_STORABLE = (torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)


def convert(
    source: Source,
    target: str | Path,
    lora: Source | None = None,
    dtype: torch.dtype | None = None,
    *,
    config: WanConfig | None = None,
    num_heads: int | None = None,
    lora_strength: float = 1.0,
    causal: bool = True,
    repository: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a checkpoint under bare Wan names, with a LoRA merged if given; returns the path.

    `dtype` None keeps every tensor as it is stored (scaled fp8 becomes bfloat16). A dtype of
    eight bits is used for matrices only. `causal=False` is for bidirectional models. The target
    appears only when it is complete and the largest tensor is all that is held in memory.
    `progress` gets the bytes written and in all. Raises CheckpointError, also for a target that is
    the source; ValueError or OSError for one that cannot be a file.
    """
    real_path(target)
    for given in (source, lora):
        if isinstance(given, (str, Path)) and same_file(given, target):
            raise CheckpointError(f"{target} is what is read; choose another file to write")
    target = Path(target)
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target} must end in .safetensors, the format that is written")
    if dtype is not None and dtype not in _STORABLE:
        raise CheckpointError(f"cannot store weights as {dtype}; use float32, float16 or bfloat16")
    checkpoint = open_checkpoint(source, config, num_heads)
    tensors = checkpoint.tensors
    if lora is not None:
        tensors = apply_lora(tensors, lora, strength=lora_strength)
    if dtype is None and checkpoint.scaled:
        dtype = torch.bfloat16
    dtypes = {
        name: torch.bfloat16 if dtype.itemsize == 1 and len(tensor.shape) != 2 else dtype
        for name, tensor in tensors.items()
        if dtype is not None
    }
    notes = _notes(checkpoint, lora, lora_strength, repository)
    metadata = host_metadata(checkpoint.config, causal) | {METADATA_KEY: json.dumps(notes)}
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, dict(sorted(tensors.items())), metadata, dtypes, progress, CHECKPOINT_LIMITS)
    return target


def host_metadata(config: WanConfig, causal: bool = True) -> dict[str, str]:
    """The header entry from which ComfyUI takes what it cannot infer.

    `causal_ar` makes its loader build the class its own autoregressive sampler needs, which
    exists for text to video only. Sizes are stated where they differ from what it assumes.
    """
    transformer: dict[str, Any] = {}
    if causal and config.model_type == "t2v" and config.in_dim == config.out_dim:
        transformer["causal_ar"] = True
    if config.num_heads != config.dim // HEAD_DIM:
        transformer["num_heads"] = config.num_heads
    for name in ("freq_dim", "text_dim", "text_len"):
        if getattr(config, name) != getattr(WanConfig, name):
            transformer[name] = getattr(config, name)
    return {"config": json.dumps({"transformer": transformer}), "format": "pt"}


def _notes(
    checkpoint: Checkpoint, lora: Source | None, strength: float, repository: str | None
) -> dict[str, Any]:
    known = checkpoint.repository
    notes: dict[str, Any] = {
        "source": Path(checkpoint.source).name,
        "key": checkpoint.key,
        "config": checkpoint.config.to_dict(),
        "repository": repository or (known.repo if known else ""),
        "licence": known.licence if known else "",
    }
    if lora is not None:
        notes["lora"] = "given tensors" if isinstance(lora, dict) else Path(str(lora)).name
        notes["lora_strength"] = strength
    return notes
