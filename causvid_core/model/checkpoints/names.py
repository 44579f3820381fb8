"""Parameter names: every published layout to Wan 2.1's own names.

Pure renaming and slicing of descriptions. Names of the diffusers layout are those of its
`WanTransformer3DModel`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ...storage.lazy import LazyDict, LazyTensor, lazily
from .errors import CheckpointError
from .scaled import dequantise

_WRAPPERS = ("_fsdp_wrapped_module.", "_orig_mod.", "_checkpoint_wrapped_module.")
"""Inserted by sharding, compilation and checkpointing, at any depth."""

_PREFIXES = (
    "model.diffusion_model.",
    "diffusion_model.",
    "base_model.model.",
    "generator_ema.",
    "generator.",
    "transformer.",
    "model.",
    "module.",
    "state_dict.",
    "ema_model.",
    "ema.",
    "dit.",
)

_GROUPS = ("generator_ema.", "ema_model.", "ema.", "generator.")
"""Prefixes of which one file may hold several, best first."""

_SIBLINGS = re.compile(
    r"^(critic|fake_score|real_score|discriminator|first_stage_model|vae|text_encoders?|"
    r"cond_stage_model|conditioner|clip_vision|image_encoder|optimizer)\."
)

_LEFTOVERS = re.compile(r"(^|\.)(scaled_fp8|freqs(_cos|_sin)?|num_batches_tracked|_extra_state)$")
"""Buffers that carry no weights: markers and tables that are computed."""

DIFFUSERS = {
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "condition_embedder.image_embedder.norm1": "img_emb.proj.0",
    "condition_embedder.image_embedder.ff.net.0.proj": "img_emb.proj.1",
    "condition_embedder.image_embedder.ff.net.2": "img_emb.proj.3",
    "condition_embedder.image_embedder.norm2": "img_emb.proj.4",
    "condition_embedder.image_embedder.pos_embed": "img_emb.emb_pos",
    "proj_out": "head.head",
}
DIFFUSERS_BLOCK = {
    "attn1.to_q": "self_attn.q",
    "attn1.to_k": "self_attn.k",
    "attn1.to_v": "self_attn.v",
    "attn1.to_out.0": "self_attn.o",
    "attn1.norm_q": "self_attn.norm_q",
    "attn1.norm_k": "self_attn.norm_k",
    "attn1.to_qkv": "self_attn.qkv",
    "attn2.to_q": "cross_attn.q",
    "attn2.to_k": "cross_attn.k",
    "attn2.to_v": "cross_attn.v",
    "attn2.to_out.0": "cross_attn.o",
    "attn2.norm_q": "cross_attn.norm_q",
    "attn2.norm_k": "cross_attn.norm_k",
    "attn2.to_kv": "cross_attn.kv",
    "attn2.add_k_proj": "cross_attn.k_img",
    "attn2.add_v_proj": "cross_attn.v_img",
    "attn2.norm_added_k": "cross_attn.norm_k_img",
    "attn2.to_added_kv": "cross_attn.kv_img",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    "norm2": "norm3",
}

FUSED = {
    "self_attn.qkv": ("self_attn.q", "self_attn.k", "self_attn.v"),
    "self_attn.to_qkv": ("self_attn.q", "self_attn.k", "self_attn.v"),
    "self_attn.qkv_proj": ("self_attn.q", "self_attn.k", "self_attn.v"),
    "cross_attn.kv": ("cross_attn.k", "cross_attn.v"),
    "cross_attn.to_kv": ("cross_attn.k", "cross_attn.v"),
    "cross_attn.kv_proj": ("cross_attn.k", "cross_attn.v"),
    "cross_attn.kv_img": ("cross_attn.k_img", "cross_attn.v_img"),
}
"""Projections stored as one matrix, and the rows it stacks, in order."""


def normalise(tensors: Mapping[str, Tensor | LazyTensor]) -> LazyDict:
    """Rename to Wan's names, split fused projections, multiply scaled fp8 by its scale.

    Siblings of the generator (critic, VAE, text encoder) are dropped. Raises CheckpointError
    when two tensors claim one name.
    """
    chosen = dequantise(_choose_group(lazily(tensors)))
    result: LazyDict = {}
    fused: LazyDict = {}
    for name, tensor in chosen.items():
        canonical = canonical_name(name)
        if _LEFTOVERS.search(canonical):
            continue
        parts = split_fused(canonical, tensor)
        home = result if parts[0][0] == canonical else fused
        for target, part in parts:
            if target in home:
                raise CheckpointError(
                    f"the file holds {target} twice (once as {name}); expected one model in it"
                )
            home[target] = part
    # diffusers keeps the separate projections beside a fused copy of them.
    return fused | result


def canonical_name(name: str) -> str:
    """Wan's name of a parameter, from any of the known layouts."""
    return _from_diffusers(strip_prefixes(name))


def strip_prefixes(name: str) -> str:
    """Remove what training wrappers and containers put around a name, in any nesting."""
    name = _unwrapped(name)
    while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), ""):
        name = name.removeprefix(prefix)
    return name


def split_fused(name: str, tensor: LazyTensor) -> list[tuple[str, LazyTensor]]:
    """The separate projections of a fused one; anything else passes through."""
    match = re.match(r"^(blocks\.\d+\.)(.+)\.([^.]+)$", name)
    if match is None or (targets := FUSED.get(match.group(2))) is None:
        return [(name, tensor)]
    if not tensor.shape or tensor.shape[0] % len(targets):
        raise CheckpointError(
            f"{name} has shape {tensor.shape}, which does not divide into {len(targets)} parts"
        )
    block, leaf = match.group(1), match.group(3)
    return [
        (f"{block}{target}.{leaf}", tensor.part(index, len(targets)))
        for index, target in enumerate(targets)
    ]


def _choose_group(tensors: LazyDict) -> LazyDict:
    names = {name: _unwrapped(name) for name in tensors}
    group = next((g for g in _GROUPS if any(n.startswith(g) for n in names.values())), "")
    others = tuple(g for g in _GROUPS if g != group)
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not _SIBLINGS.match(names[name]) and not (group and names[name].startswith(others))
    }


def _unwrapped(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name.removeprefix("module.")


def _from_diffusers(name: str) -> str:
    if name == "scale_shift_table":
        return "head.modulation"
    match = re.match(r"^(blocks\.\d+\.)(.+)$", name)
    if not match:
        stem, _, leaf = name.rpartition(".")
        return f"{DIFFUSERS[stem]}.{leaf}" if stem in DIFFUSERS else DIFFUSERS.get(name, name)
    block, rest = match.groups()
    if rest == "scale_shift_table":
        return f"{block}modulation"
    stem, _, leaf = rest.rpartition(".")
    return f"{block}{DIFFUSERS_BLOCK[stem]}.{leaf}" if stem in DIFFUSERS_BLOCK else name
