"""Low-rank patches (LoRA): every common spelling, merged into Wan weights.

A patched weight is `W + strength * alpha / rank * up @ down` (Hu et al. 2021,
https://arxiv.org/abs/2106.09685); rsLoRA divides by `sqrt(rank)` instead
(https://arxiv.org/abs/2312.03732).
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...storage.lazy import LazyDict, LazyTensor
from .errors import CheckpointError
from .names import DIFFUSERS, DIFFUSERS_BLOCK, FUSED, canonical_name
from .read import LORA_KEYS, read_stored

logger = logging.getLogger("causvid")

_PARTS = re.compile(
    r"^(?P<stem>.+?)\.(?:"
    r"(?P<down>lora_A|lora_down|lora\.down)(?:\.\w+)?\.weight"
    r"|(?P<up>lora_B|lora_up|lora\.up)(?:\.\w+)?\.weight"
    r"|(?P<alpha>alpha)|(?P<diff>diff)|(?P<diff_b>diff_b))$"
)
_UNSUPPORTED = re.compile(r"lora_magnitude_vector|dora_scale|lokr_w|hada_w|oft_blocks|lora_mid")
_FLAT = re.compile(r"^lora_(unet|transformer|dit)_")
_ELSEWHERE = re.compile(r"^(lora_te\d?_|text_encoders?\.|clip\.)")


@dataclass
class Patch:
    """What a LoRA does to one layer: `[rank, in]` and `[out, rank]`, or differences."""

    down: LazyTensor | None = None
    up: LazyTensor | None = None
    alpha: float | None = None
    diff: LazyTensor | None = None
    diff_b: LazyTensor | None = None

    @property
    def rank(self) -> int:
        """The inner size, read from the shape."""
        return self.down.shape[0] if self.down is not None else 0


@dataclass
class Lora:
    """Patches by layer as the file names them, and what the file says about alpha."""

    source: str
    patches: dict[str, Patch] = field(default_factory=dict)
    alpha: float | None = None
    rank_stabilised: bool = False

    def scale(self, patch: Patch) -> float:
        """The factor of `up @ down`; without any alpha it is one."""
        alpha = patch.alpha if patch.alpha is not None else self.alpha
        if alpha is None or not patch.rank:
            return 1.0
        return alpha / (math.sqrt(patch.rank) if self.rank_stabilised else patch.rank)


def read_lora(source: str | Path | Mapping[str, Any], alpha: float | None = None) -> Lora:
    """Describe a LoRA file, an adapter folder or a state dict; no tensor is read.

    `alpha` is used for layers that state none. Raises CheckpointError for whole models, for
    kinds of patches other than LoRA, and for halves without their counterpart.
    """
    stored = read_stored(source, LORA_KEYS)
    if alpha is None:
        value = json.loads(stored.metadata.get("lora_alpha", "null"))
        alpha = float(value) if isinstance(value, (int, float)) else None
    rank_stabilised = json.loads(stored.metadata.get("use_rslora", "false"))
    lora = Lora(stored.source, alpha=alpha, rank_stabilised=rank_stabilised)
    for name, tensor in stored.tensors.items():
        match = _PARTS.match(name)
        if _UNSUPPORTED.search(name):
            raise CheckpointError(
                f"{lora.source} is not a plain LoRA ({name}); expected lora_A and lora_B, or "
                "lora_down and lora_up"
            )
        if match is None:
            continue
        patch = lora.patches.setdefault(match["stem"], Patch())
        part = next(key for key in ("down", "up", "alpha", "diff", "diff_b") if match[key])
        setattr(patch, part, float(tensor.load()) if part == "alpha" else tensor)
    if not any(p.up or p.down or p.diff or p.diff_b for p in lora.patches.values()):
        raise CheckpointError(
            f"{lora.source} is not a LoRA: none of its {len(stored.tensors)} tensors is a "
            "lora_A, lora_B, lora_down or lora_up"
        )
    halves = [stem for stem, p in lora.patches.items() if (p.up is None) != (p.down is None)]
    if halves:
        raise CheckpointError(
            f"{lora.source} is incomplete: {halves[0]} has one half of its LoRA only; "
            "download it again"
        )
    return lora


def apply_lora(
    tensors: LazyDict,
    lora: str | Path | Mapping[str, Any],
    strength: float = 1.0,
    alpha: float | None = None,
) -> LazyDict:
    """Describe the patched weights; each is computed in float32 when it is read.

    Layers of the LoRA that the model lacks are logged; when none fits it is refused.
    """
    read = read_lora(lora, alpha)
    result, unknown, fitted = dict(tensors), [], 0
    flat = _flat_names(tensors)
    for stem, patch in read.patches.items():
        targets = _targets(stem, patch, flat)
        if not all(f"{module}.weight" in tensors for module, _ in targets):
            unknown.append(stem)
            continue
        fitted += 1
        for module, part in targets:
            _patch_module(result, module, part, read.scale(part) * strength, strength, read.source)
    if not fitted:
        raise CheckpointError(
            f"{read.source} fits none of this model's layers; its first is {unknown[0]}, which "
            "belongs to another model"
        )
    if unknown:
        elsewhere = sum(bool(_ELSEWHERE.match(stem)) for stem in unknown)
        logger.warning(
            "%s: %d layers are not in this model and were left out (%d of a text encoder), the "
            "first is %s",
            read.source,
            len(unknown),
            elsewhere,
            unknown[0],
        )
    logger.info("%s: merged into %d layers", read.source, fitted)
    return result


def _flat_names(tensors: LazyDict) -> dict[str, str]:
    """Layer names with their dots as underscores, Wan's and diffusers', to Wan's."""
    names: dict[str, str] = {}
    for parameter in tensors:
        module = parameter.rpartition(".")[0]
        names[module.replace(".", "_")] = module
        for theirs, ours in DIFFUSERS.items():
            if module == ours:
                names[theirs.replace(".", "_")] = module
        match = re.match(r"^(blocks\.\d+)\.(.+)$", module)
        for theirs, ours in DIFFUSERS_BLOCK.items():
            if match and match.group(2) == ours and theirs != "norm2":
                names[f"{match.group(1)}.{theirs}".replace(".", "_")] = module
    return names


def _targets(stem: str, patch: Patch, flat: dict[str, str]) -> list[tuple[str, Patch]]:
    if _FLAT.match(stem):
        return [(flat.get(_FLAT.sub("", stem), stem), patch)]
    module = canonical_name(f"{stem}.weight").removesuffix(".weight")
    match = re.match(r"^(blocks\.\d+\.)(.+)$", module)
    if match is None or patch.up is None or (fused := FUSED.get(match.group(2))) is None:
        return [(module, patch)]
    # One `down` feeds all stacked projections; `up` stacks their rows.
    return [
        (match.group(1) + name, Patch(patch.down, patch.up.part(i, len(fused)), patch.alpha))
        for i, name in enumerate(fused)
    ]


def _patch_module(
    tensors: LazyDict, module: str, patch: Patch, scale: float, strength: float, source: str
) -> None:
    """Replace the descriptions of a layer's weight and bias in `tensors`."""
    weight = f"{module}.weight"
    if patch.up is not None and patch.down is not None:
        rank, inner = patch.down.shape[0], math.prod(patch.down.shape[1:])
        found = (patch.up.shape[0], inner)
        shape = tensors[weight].shape
        if found != (shape[0], math.prod(shape[1:])) or patch.up.shape[1] != rank:
            raise CheckpointError(
                f"{source} was made for another model: its {module} is {found[0]} x {found[1]}, "
                f"this model's is {shape[0]} x {math.prod(shape[1:])}"
            )
        tensors[weight] = _plus(tensors[weight], partial(_product, patch.up, patch.down), scale)
    for name, diff in ((weight, patch.diff), (f"{module}.bias", patch.diff_b)):
        if diff is not None and name in tensors:
            if math.prod(diff.shape) != math.prod(tensors[name].shape):
                raise CheckpointError(
                    f"{source} was made for another model: its change of {name} has shape "
                    f"{diff.shape}, this model's is {tensors[name].shape}"
                )
            tensors[name] = _plus(tensors[name], partial(_difference, diff), strength)


def _plus(base: LazyTensor, change: Callable[[], Tensor], factor: float) -> LazyTensor:
    """base + factor * change, computed in float32."""
    # Eight bits would round most of a small change away.
    dtype = torch.bfloat16 if base.dtype.itemsize == 1 else base.dtype

    def load() -> Tensor:
        return (base.load().float() + factor * change().reshape(base.shape)).to(dtype)

    return LazyTensor(base.shape, dtype, load)


def _product(up: LazyTensor, down: LazyTensor) -> Tensor:
    return up.load().float().flatten(1) @ down.load().float().flatten(1)


def _difference(diff: LazyTensor) -> Tensor:
    return diff.load().float()
