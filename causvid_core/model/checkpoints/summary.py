"""What a file is, in a few lines."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from ...storage.lazy import LazyDict
from .checkpoint import Source, open_checkpoint
from .identify import is_lora
from .lora import read_lora
from .read import LORA_KEYS, read_stored


def summarise(source: Source) -> dict[str, str]:
    """Facts about a checkpoint or a LoRA by name, for people; no tensor is read.

    Raises CheckpointError, in one sentence, for anything else.
    """
    stored = read_stored(source, LORA_KEYS)
    if is_lora(stored.tensors):
        return _lora_facts(source, stored.key, stored.ignored)
    checkpoint = open_checkpoint(source)
    config = checkpoint.config
    kind = "image to video" if config.model_type == "i2v" else "text to video"
    facts = {
        "file": Path(checkpoint.source).name,
        "kind": f"Wan transformer, {kind}",
        "size": f"{config.num_layers} layers, {config.dim} wide, {config.num_heads} heads, "
        f"{_parameters(checkpoint.tensors)} parameters",
        "stored as": _storage(checkpoint.tensors) + (", scaled fp8" if checkpoint.scaled else ""),
        "entry": checkpoint.key or "bare state dict",
    }
    if checkpoint.ignored:
        facts["ignored"] = ", ".join(checkpoint.ignored)
    known = checkpoint.repository
    facts["licence"] = known.licence_note() if known else "unknown; see where the file came from"
    return facts


def _lora_facts(source: Source, key: str, ignored: tuple[str, ...]) -> dict[str, str]:
    lora = read_lora(source)
    ranks = Counter(patch.rank for patch in lora.patches.values() if patch.rank)
    scales = {lora.scale(patch) for patch in lora.patches.values() if patch.rank}
    facts = {
        "file": Path(lora.source).name,
        "kind": "LoRA, to be applied to a model it was made for",
        "size": f"{len(lora.patches)} layers, rank {', '.join(map(str, sorted(ranks))) or 'none'}",
        "strength of 1 means": ", ".join(f"{scale:g}" for scale in sorted(scales)) or "1",
        "entry": key or "bare state dict",
    }
    return facts | ({"ignored": ", ".join(ignored)} if ignored else {})


def _parameters(tensors: LazyDict) -> str:
    count = sum(math.prod(tensor.shape) for tensor in tensors.values())
    return f"{count / 1e9:.2f} billion" if count >= 1e9 else f"{count / 1e6:.1f} million"


def _storage(tensors: LazyDict) -> str:
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        name = str(tensor.dtype).removeprefix("torch.")
        sizes[name] += math.prod(tensor.shape) * tensor.dtype.itemsize
    return ", ".join(f"{name} ({size / 1e9:.2f} GB)" for name, size in sizes.most_common())
