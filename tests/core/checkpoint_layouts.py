"""Small files in every published layout, written from scratch rather than by the code tested."""

import re
from pathlib import Path

import torch

from causvid_core.model.config import WanConfig
from causvid_core.model.transformer import CausalWan

SIZES = {"dim": 128, "ffn_dim": 48, "num_heads": 1, "num_layers": 2, "freq_dim": 16, "text_dim": 24}

DIFFUSERS = {
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "self_attn.q": "attn1.to_q",
    "self_attn.k": "attn1.to_k",
    "self_attn.v": "attn1.to_v",
    "self_attn.o": "attn1.to_out.0",
    "self_attn.norm_q": "attn1.norm_q",
    "self_attn.norm_k": "attn1.norm_k",
    "cross_attn.q": "attn2.to_q",
    "cross_attn.k": "attn2.to_k",
    "cross_attn.v": "attn2.to_v",
    "cross_attn.o": "attn2.to_out.0",
    "cross_attn.norm_q": "attn2.norm_q",
    "cross_attn.norm_k": "attn2.norm_k",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "cross_attn.norm_k_img": "attn2.norm_added_k",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "norm3": "norm2",
    "head.head": "proj_out",
}


def wan(seed: int = 0, **sizes) -> dict[str, torch.Tensor]:
    """Random weights under Wan's own names."""
    config = WanConfig(**SIZES | sizes)
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: t.shape for name, t in CausalWan(config).state_dict().items()}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def i2v(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights of an image-to-video model."""
    return wan(seed, in_dim=36, model_type="i2v", image_dim=40)


def to_diffusers(state: dict) -> dict:
    """The names diffusers gives to the same tensors."""
    renamed = {}
    for name, tensor in state.items():
        if name == "head.modulation":
            name = "scale_shift_table"
        elif name.endswith(".modulation"):
            name = name.replace(".modulation", ".scale_shift_table")
        else:
            for ours, theirs in DIFFUSERS.items():
                name = re.sub(rf"(^|\.){re.escape(ours)}\.", rf"\g<1>{theirs}.", name)
        renamed[name] = tensor
    return renamed


def fuse(state: dict, qkv: str = "self_attn.qkv", kv: str = "cross_attn.kv") -> dict:
    """Stack q, k, v of self-attention and k, v of cross-attention."""
    state = dict(state)
    for layer in range(SIZES["num_layers"]):
        for leaf in ("weight", "bias"):
            block = f"blocks.{layer}."
            rows = [state.pop(f"{block}self_attn.{p}.{leaf}") for p in "qkv"]
            state[f"{block}{qkv}.{leaf}"] = torch.cat(rows)
            rows = [state.pop(f"{block}cross_attn.{p}.{leaf}") for p in "kv"]
            state[f"{block}{kv}.{leaf}"] = torch.cat(rows)
    return state


def prefixed(state: dict, prefix: str) -> dict:
    """All names behind a prefix."""
    return {prefix + name: tensor for name, tensor in state.items()}


def assert_same(model: torch.nn.Module, state: dict) -> None:
    """Every tensor of the model is the given one, to the bit."""
    found = model.state_dict()
    assert set(found) == set(state)
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor.to(found[name].dtype)), name


def save_pt(content, path: Path) -> Path:
    """A file as `torch.save` writes it."""
    torch.save(content, path)
    return path
