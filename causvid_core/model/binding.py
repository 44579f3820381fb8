"""Binding the forward to a module tree: which tree, which sizes, which attention, which dtype."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from .attention import Attention, torch_attention
from .config import WanConfig
from .modules import Block, WanTree

T = TypeVar("T")


class Within(Protocol):
    """Calls `function(*arguments)`, which reads the weights of `module`, a part of the tree.

    The forward calls it for the whole tree and for each layer. A trainer gathers sharded weights
    here and recomputes activations; tensors that carry gradients are passed as arguments.
    """

    def __call__(self, module: nn.Module, function: Callable[..., T], *arguments: object) -> T:
        """The result of the function."""


def at_once(module: nn.Module, function: Callable[..., T], *arguments: object) -> T:
    """Call the function: the weights are in place."""
    return function(*arguments)


@dataclass(frozen=True)
class BoundWan:
    """A module tree with Wan's names, ready for the forward. Made by `bind`.

    `tree` is any module with the parameter names of `WanTree`, which stands for it in types.
    The network computes in `dtype` on `device`; the tree may store its weights otherwise, and
    `within` makes them available.
    """

    tree: WanTree
    config: WanConfig
    attention: Attention
    dtype: torch.dtype
    device: torch.device
    name: str | None
    within: Within = at_once

    def heads(self, x: Tensor) -> Tensor:
        """[B, N, dim] -> [B, N, h, d], a view; called for every layer, where einops would show."""
        return x.view(*x.shape[:-1], self.config.num_heads, -1)

    def layer(self, index: int) -> Block:
        """A layer of the tree."""
        return cast(Block, self.tree.blocks[index])

    def fingerprint(self) -> str:
        """A short name that differs between sets of weights, sizes and dtypes.

        The name given to `bind`, or a hash of a few numbers of every parameter, which waits for
        the device once.
        """
        digest = hashlib.sha256(f"{self.config} {self.dtype} {self.name}".encode())
        if self.name is None:
            heads = [p.detach().flatten()[:8].to(torch.float32) for p in self.tree.parameters()]
            digest.update(torch.cat(heads).cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


def bind(
    tree: nn.Module,
    config: WanConfig | None = None,
    attention: Attention | None = None,
    dtype: torch.dtype | None = None,
    *,
    device: torch.device | str | None = None,
    fingerprint: str | None = None,
) -> BoundWan:
    """Bind the forward to a module tree with Wan's names.

    config: read off the parameter shapes when None. attention: PyTorch's when None. dtype and
    device to compute in: those of the weights when None. fingerprint: names the weights, patches
    included; the parameters are sampled when None. Raises ValueError naming what was found when
    the tree is not a plain Wan text-to-video or image-to-video transformer.
    """
    parameters = dict(tree.named_parameters())
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    own = getattr(tree, "config", None)
    if config is None and isinstance(own, WanConfig):
        config = own
    if config is None:
        config = WanConfig.from_shapes(
            shapes, getattr(tree, "num_heads", None), getattr(tree, "text_len", None)
        )
    weight = parameters.get("blocks.0.ffn.0.weight")
    if weight is None:
        raise ValueError(f"not a Wan model: {type(tree).__name__} has no blocks.0.ffn.0.weight")
    if dtype is None:
        dtype = weight.dtype
        if dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise ValueError(
                f"the weights are stored as {dtype}; pass the dtype to compute in "
                "(torch.bfloat16, torch.float16 or torch.float32)"
            )
    return BoundWan(
        tree=cast(WanTree, tree),
        config=config,
        attention=attention or torch_attention,
        dtype=dtype,
        device=torch.device(device) if device is not None else weight.device,
        name=fingerprint,
    )


def as_bound(model: nn.Module | BoundWan) -> BoundWan:
    """The model itself when bound already, else bound with defaults."""
    return model if isinstance(model, BoundWan) else bind(model)
