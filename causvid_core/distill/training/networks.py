"""Transformers spread over the processes with FSDP2, bound to the forward.

Every layer is a unit that is gathered when it runs and freed afterwards. The projections of the
prompt to keys and values are units of their own, as they run before the layers. Weights, gradients
and optimisers are float32 and sharded; the arithmetic is in the run's precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import MethodType
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import Shard

from ...model.binding import BoundWan, bind
from ...model.checkpoints import read_state_dict
from ...model.config import WanConfig
from ...model.transformer import CausalWan
from ..network import with_gradient_checkpointing
from .ranks import Ranks

T = TypeVar("T")

PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}


def make_network(
    config: WanConfig,
    weights: str,
    ranks: Ranks,
    *,
    precision: str = "fp32",
    seed: int = 0,
    trained: bool = True,
    gradient_checkpointing: bool = False,
) -> BoundWan:
    """A transformer sharded over the processes, with the weights of a file, or fresh ones.

    Fresh weights depend on the seed alone. A network that is not trained is kept in the run's
    precision and takes no gradients. Only the first process reads the file. Raises
    CheckpointError for a file that is not of these sizes.
    """
    dtype = PRECISIONS[precision]
    kept = torch.float32 if trained else dtype
    with torch.device("meta"):
        model = CausalWan(config).to(kept)
    model.requires_grad_(trained)
    _shard(model, ranks, dtype)
    model.to_empty(device=ranks.device)
    full: dict[str, Any] = {}
    if ranks.first:
        full = read_state_dict(weights, config) if weights else _fresh(config, seed)
        full = {name: tensor.to(kept) for name, tensor in full.items()}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, full, options=options)
    model.train(trained)

    def within(module: nn.Module, function: Callable[..., T], *arguments: object) -> T:
        if gradient_checkpointing:
            function = partial(with_gradient_checkpointing, module, function)
        return cast(T, cast(Any, module).run_within(function, *arguments))

    bound = bind(model, config, dtype=dtype, device=ranks.device, fingerprint="in training")
    return replace(bound, within=within)


def whole(tensor: Tensor) -> Tensor:
    """A copy on the CPU of a tensor, which may be sharded. Every process has to call it."""
    full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full.detach().to("cpu", copy=True)


def _shard(model: CausalWan, ranks: Ranks, dtype: torch.dtype) -> None:
    # Inputs are cast by the forward itself: timesteps have to stay exact.
    policy = MixedPrecisionPolicy(dtype, torch.float32, cast_forward_inputs=False)
    shard = partial(
        fully_shard,
        mesh=ranks.mesh,
        mp_policy=policy,
        shard_placement_fn=partial(_placement, ranks.count),
        # The root as well: between calls, optimisers and averages need the weights sharded.
        reshard_after_forward=True,
    )
    for block in model.blocks:
        cross = cast(nn.Module, block.cross_attn)
        shard([cross.k, cross.v, cross.norm_k])
        shard(block)
    shard(model)
    for module in (*model.blocks, model):
        # FSDP gathers a module's weights while its `run_within` runs.
        cast(Any, module).run_within = MethodType(_run_within, module)
        register_fsdp_forward_method(module, "run_within")


def _run_within(module: nn.Module, function: Callable[..., T], *arguments: object) -> T:
    return function(*arguments)


def _placement(ranks: int, parameter: nn.Parameter) -> Shard | None:
    """The longest side that divides evenly: no process then holds an empty part."""
    sides = sorted(range(parameter.ndim), key=lambda side: -parameter.shape[side])
    return next((Shard(side) for side in sides if parameter.shape[side] % ranks == 0), None)


def _fresh(config: WanConfig, seed: int) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dict(CausalWan(config).state_dict())
