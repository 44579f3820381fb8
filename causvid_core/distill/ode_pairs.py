"""ODE pairs of a teacher, made into shards: `make-ode-pairs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor

from ..stream.schedule import Schedule
from .guidance import Guidance
from .network import Network
from .shards import ShardWriter

TENSOR = "states"


@dataclass(frozen=True)
class PairSettings:
    """How pairs are made; all samples of a folder share it.

    keep: the student's schedule. shape: (16, T, H, W) of a clip's latents. steps, shift: of the
    teacher's sampling. guidance: see `guidance`; CausVid's guidance of 6 is 5 here.
    """

    keep: Schedule
    shape: tuple[int, int, int, int]
    steps: int = 50
    shift: float = 8.0
    guidance: float = 5.0

    def header(self, teacher: str) -> dict:
        """What a folder of pairs says of itself; `teacher` is its fingerprint."""
        raise NotImplementedError


def make_ode_pairs(
    teacher: Network,
    prompts: Iterable[tuple[str, int]],
    encode: Callable[[str], Tensor],
    guidance: Guidance,
    settings: PairSettings,
    writer: ShardWriter,
    batch: int = 1,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Sample the teacher for (prompt, seed) pairs that the writer lacks; returns how many.

    encode: a prompt's context [l, text_dim] without padding. A sample's tensor `states` is
    [K + 1, 16, T, H, W] in float16.
    """
    raise NotImplementedError


def read_schedule(settings: dict) -> Schedule:
    """The schedule whose states a folder of pairs holds, from its settings."""
    raise NotImplementedError
