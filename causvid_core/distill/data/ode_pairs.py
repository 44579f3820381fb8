"""ODE pairs of a teacher, made into shards: `make-ode-pairs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from ...hashing import content_hash
from ...storage.shards import ShardWriter
from ...stream.noise import seeded_noise
from ...stream.schedule import Schedule
from ..guidance import Conditioning, Guidance
from ..network import Network
from ..ode import Trajectory, trajectory
from .texts import TENSOR as CONTEXT
from .texts import Encode

TENSOR = "states"


@dataclass(frozen=True)
class PairSettings:
    """How pairs are made; all samples of a folder share it.

    keep: the student's schedule. shape: (16, T, H, W) of a clip's latents. steps, shift: of the
    teacher's sampling. guidance: `cond + guidance * (cond - uncond)`, so CausVid's 6 is 5 here.
    negative: the prompt that guidance leads away from.
    """

    keep: Schedule
    shape: tuple[int, int, int, int]
    steps: int = 50
    shift: float = 8.0
    guidance: float = 5.0
    negative: str = ""

    def header(self, teacher: Network) -> dict[str, Any]:
        """What a folder of such pairs says of itself."""
        return {
            "timesteps": [*self.keep.timesteps, 0.0],
            "sigmas": [*self.keep.sigmas, 0.0],
            "shape": list(self.shape),
            "steps": self.steps,
            "shift": self.shift,
            "guidance": self.guidance,
            "negative": self.negative,
            "teacher": teacher.bound.fingerprint(),
            "causal": teacher.causal,
        }


def make_ode_pairs(
    teacher: Network,
    pairs: Iterable[tuple[str, int]],
    encode: Encode,
    settings: PairSettings,
    writer: ShardWriter,
    *,
    batch: int = 1,
    with_context: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Sample the teacher for those (prompt, seed) that the writer lacks; returns how many.

    A sample's tensor `states` is [K + 1, 16, T, H, W] in float16. with_context: the encoding of
    its prompt goes along, as `context` in float16. progress: told how many are made so far.
    Raises ValueError when a state is not finite.
    """
    device = teacher.bound.device
    negative = Conditioning.of([encode(settings.negative)]).to(device)
    guidance = Guidance(settings.guidance, negative)
    missing = ((prompt, seed) for prompt, seed in pairs if _key(prompt, seed) not in writer)
    made = 0
    while chosen := _distinct(missing, batch):
        texts = [encode(prompt) for prompt, _ in chosen]
        sampled = _sample(teacher, [seed for _, seed in chosen], texts, guidance, settings)
        for (prompt, seed), text, states in zip(chosen, texts, sampled.states, strict=True):
            tensors = {TENSOR: states.half()}
            if with_context:
                tensors[CONTEXT] = text.half()
            made += writer.add(_key(prompt, seed), prompt, tensors, f"seed {seed}: {prompt}")
        if progress is not None:
            progress(made)
    return made


def _sample(
    teacher: Network,
    seeds: list[int],
    texts: list[Tensor],
    guidance: Guidance,
    settings: PairSettings,
) -> Trajectory:
    """What a sample becomes does not depend on the others of its batch, but for rounding."""
    device = teacher.bound.device
    noise = torch.cat([seeded_noise(seed)(0, 0, (1, *settings.shape)) for seed in seeds])
    return trajectory(
        teacher,
        noise.to(device),
        Conditioning.of(texts).to(device),
        guidance,
        settings.keep,
        steps=settings.steps,
        shift=settings.shift,
    )


def _distinct(pairs: Iterator[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    return list(dict.fromkeys(islice(pairs, count)))


def _key(prompt: str, seed: int) -> str:
    return content_hash(prompt, seed)
