"""A checkpoint judged, described and ready to be read: any layout to Wan's names."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...storage.lazy import LazyDict
from ..config import WanConfig
from ..transformer import CausalWan
from .errors import CheckpointError
from .identify import describe_foreign
from .lora import apply_lora
from .names import normalise
from .read import read_stored
from .repositories import Repository, recognise
from .scaled import is_scaled

logger = logging.getLogger("causvid")

METADATA_KEY = "causvid"
"""Where this project notes in a safetensors header what the shapes cannot tell."""

Source = str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. `tensors` carry Wan's names and are still on disk.

    `key` is the entry that was taken ("" when the file was bare), `ignored` the entries that
    were left, `scaled` whether weights were stored as fp8 with factors.
    """

    tensors: LazyDict
    config: WanConfig
    source: str
    key: str
    ignored: tuple[str, ...]
    metadata: dict[str, str]
    repository: Repository | None
    scaled: bool


def open_checkpoint(
    source: Source, config: WanConfig | None = None, num_heads: int | None = None
) -> Checkpoint:
    """Describe a checkpoint of any published layout; no tensor is read.

    Without a `config` it is inferred; `num_heads` then overrules the file's notes.
    Logs which entry was taken, what was ignored and the licence of a known repository.
    Raises CheckpointError, in one sentence, for anything but a complete plain Wan T2V or I2V.
    """
    stored = read_stored(source)
    try:
        tensors = normalise(stored.tensors)
        foreign = describe_foreign(tensors or stored.tensors)
        if foreign:
            raise CheckpointError(f"{stored.source} {foreign}")
        if config is None:
            heads = {"num_heads": str(num_heads)} if num_heads else {}
            config = infer_config(tensors, stored.metadata | heads)
        verify(tensors, config)
    except ValueError as error:
        text = str(error)
        prefix = "" if text.startswith(stored.source) else f"{stored.source}: "
        raise CheckpointError(f"{prefix}{text}") from error
    repository = recognise(stored.source, _own_notes(stored.metadata))
    checkpoint = Checkpoint(
        tensors,
        config,
        stored.source,
        stored.key,
        stored.ignored,
        stored.metadata,
        repository,
        is_scaled(stored.tensors),
    )
    _log(checkpoint)
    return checkpoint


def load_model(
    source: Source,
    config: WanConfig | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    lora: Source | None = None,
    lora_strength: float = 1.0,
) -> CausalWan:
    """A `CausalWan` with the weights of a file, a diffusers folder or a state dict.

    The config is inferred from shapes (and the file's own notes) unless given. Tensors are read,
    converted and placed one by one, so no second copy of the model is held; the source is never
    changed and shares no memory with the model. Raises CheckpointError.
    """
    checkpoint = open_checkpoint(source, config)
    tensors = checkpoint.tensors
    if lora is not None:
        tensors = apply_lora(tensors, lora, strength=lora_strength)
    with torch.device("meta"):
        model = CausalWan(checkpoint.config)
    placed = {
        name: tensor.load().detach().to(device=device, dtype=dtype, copy=True)
        for name, tensor in tensors.items()
    }
    model.load_state_dict(placed, assign=True)
    return model.eval()


def read_state_dict(source: Source, config: WanConfig | None = None) -> dict[str, Tensor]:
    """All tensors of a checkpoint in memory, under Wan's names, in their stored dtype.

    They may be views of the mapped file: copy before writing into them.
    """
    checkpoint = open_checkpoint(source, config)
    return {name: tensor.load().detach() for name, tensor in checkpoint.tensors.items()}


def infer_config(
    tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> WanConfig:
    """Sizes of a Wan state dict, from the shapes of its tensors and the file's notes.

    The number of heads and the prompt length leave no trace in shapes: they come from the
    notes, and otherwise are Wan's own. Raises ValueError naming what was found.
    """
    metadata = metadata or {}
    notes = _own_notes(metadata).get("config")
    notes = notes if isinstance(notes, dict) else {}
    heads = metadata.get("num_heads") or notes.get("num_heads") or _host_heads(metadata)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = WanConfig.from_shapes(
        shapes, num_heads=_head_count(heads), text_len=notes.get("text_len")
    )
    return replace(config, eps=notes["eps"]) if "eps" in notes else config


def verify(tensors: Mapping[str, Any], config: WanConfig) -> None:
    """Compare names and shapes with those of a model of this config, before any is read.

    Raises CheckpointError with the first of what is missing, left over or of another shape.
    """
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in CausalWan(config).state_dict().items()}
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise CheckpointError(
            f"{len(missing)} of {len(expected)} tensors are missing, the first is {missing[0]}; "
            "the file is incomplete"
        )
    extra = sorted(name for name in tensors if name not in expected)
    if extra:
        raise CheckpointError(
            f"{len(extra)} tensors belong to no plain Wan model, the first is {extra[0]}; "
            f"expected the {len(expected)} tensors of a model with {config.num_layers} layers"
        )
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(
                f"{name} has shape {tuple(tensors[name].shape)}, expected {shape} in a model "
                f"{config.dim} wide"
            )


def _own_notes(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        notes = json.loads(metadata.get(METADATA_KEY, "{}"))
    except (ValueError, RecursionError):
        notes = {}
    return notes if isinstance(notes, dict) else {}


def _host_heads(metadata: Mapping[str, str]) -> int | None:
    try:
        heads = json.loads(metadata.get("config", "{}")).get("transformer", {}).get("num_heads")
    except (ValueError, AttributeError, RecursionError):
        return None
    return _head_count(heads)


def _head_count(heads: Any) -> int | None:
    """The number that a note gives; None when it gives none."""
    if not heads:
        return None
    text = str(heads)
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ValueError(f"its notes say {text[:40]!r} attention heads; expected a whole number")
    return int(text)


def _log(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    logger.info(
        "%s: took %s of %d tensors, %s, %d layers of width %d with %d heads%s",
        checkpoint.source,
        f"'{checkpoint.key}'" if checkpoint.key else "the bare state dict",
        len(checkpoint.tensors),
        "image to video" if config.model_type == "i2v" else "text to video",
        config.num_layers,
        config.dim,
        config.num_heads,
        f"; ignored {', '.join(checkpoint.ignored)}" if checkpoint.ignored else "",
    )
    if checkpoint.repository:
        logger.info("%s: %s", checkpoint.source, checkpoint.repository.licence_note())
