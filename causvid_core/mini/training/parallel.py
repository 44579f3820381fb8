"""Training in several processes of one thread each: they wait for each other once a step.

On shared cores that is far faster than threads, which wait for each other in every operation.
Every process draws the whole batch's randomness and takes its part, so that the number of
processes changes nothing but rounding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def run_workers(function: Callable[..., None], workers: int, *arguments: object) -> None:
    """Call `function(*arguments)` in `workers` processes that share their gradients."""
    if workers == 1:
        function(*arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            _worker, (workers, f"file://{folder}/meeting", function, arguments), nprocs=workers
        )


def _worker(
    rank: int, workers: int, meeting: str, function: Callable[..., None], arguments: tuple
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=workers)
    try:
        function(*arguments)
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes and logs."""
    return not dist.is_initialized() or dist.get_rank() == 0


def own_part(batch: Tensor) -> Tensor:
    """This process's part of `[B, ...]`; B must be a multiple of the number of processes."""
    if not dist.is_initialized():
        return batch
    workers = dist.get_world_size()
    if len(batch) % workers:
        raise ValueError(f"a batch of {len(batch)} cannot be shared by {workers} processes")
    return batch[dist.get_rank() :: workers]


def average_gradients(model: nn.Module) -> None:
    """Replace every gradient by the mean over the processes. Mutates the gradients."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(
        gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(mean.view_as(gradient))
