"""The processes of a run: one, or as many as `torchrun` started."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh


@dataclass(frozen=True)
class Ranks:
    """This process among `count`: its number, its device and the mesh of all."""

    rank: int
    count: int
    device: torch.device
    mesh: DeviceMesh

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes, on the CPU."""
        total = values.to(self.device)
        dist.all_reduce(total)
        return total.cpu() / self.count

    def any(self, flag: bool) -> bool:
        """Whether a flag is set on some process: the same answer on all."""
        return bool(self.mean(torch.tensor(float(flag), dtype=torch.float64)) > 0)

    def wait(self) -> None:
        """Until every process is here."""
        self.any(False)


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, or be the only one.

    device: "cpu", "cuda" or "auto". A single process is a group of one, in which FSDP runs as in a
    larger one. A group that exists already is used and left open.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    local = int(os.environ.get("LOCAL_RANK", 0))
    if device == "cuda":
        torch.cuda.set_device(local)
    own = not dist.is_initialized()
    if own:
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
            dist.init_process_group(backend)
        else:
            store = dist.HashStore()  # type: ignore[attr-defined]
            dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        count = dist.get_world_size()
        mesh = init_device_mesh(device, (count,))
        name = torch.device(device, local) if device == "cuda" else torch.device(device)
        with warnings.catch_warnings():
            # The forward never writes into a layer's output while gradients are wanted.
            warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")
            yield Ranks(dist.get_rank(), count, name, mesh)
    finally:
        if own:
            dist.destroy_process_group()
