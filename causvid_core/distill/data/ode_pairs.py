"""ODE pairs of a teacher, made into shards: `make-ode-pairs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from ...hashing import content_hash
from ...storage.shards import ShardWriter
from ...stream.noise import seeded_noise
from ...stream.schedule import Schedule
from ..conditioning import Conditioning
from ..embedded import Encode
from ..guidance import Guidance, dmd_weight
from ..network import Network
from ..ode import trajectory
from .prompt_embeddings import TENSOR as CONTEXT

TENSOR = "states"


@dataclass(frozen=True)
class PairSettings:
    """How pairs are made; all samples of a folder share it.

    keep: the student's schedule. shape: (16, T, H, W) of a clip's latents. steps, shift: the
    teacher's sampling. guidance_scale: CFG's; CausVid's is 6. negative: the prompt that guidance
    leads away from.
    """

    keep: Schedule
    shape: tuple[int, int, int, int]
    steps: int = 50
    shift: float = 8.0
    guidance_scale: float = 6.0
    negative: str = ""

    def header(self, teacher: Network) -> dict[str, Any]:
        """What a folder of such pairs says of itself."""
        return {
            "timesteps": [*self.keep.timesteps, 0.0],
            "sigmas": [*self.keep.sigmas, 0.0],
            "shape": list(self.shape),
            "steps": self.steps,
            "shift": self.shift,
            "guidance": dmd_weight(self.guidance_scale),  # shards keep DMD's convention
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
    """Sample the teacher for each (prompt, seed) that the writer lacks; returns how many.

    A sample's tensor `states` is [K + 1, 16, T, H, W] in float16. with_context: add the prompt
    embedding as `context` in float16. progress: called with the number made so far. Raises
    ValueError when a state is not finite.
    """
    device = teacher.bound.device
    negative = Conditioning.of([encode(settings.negative)]).to(device)
    guidance = Guidance(settings.guidance_scale, negative)
    missing = ((prompt, seed) for prompt, seed in pairs if content_hash(prompt, seed) not in writer)
    made = 0
    while chosen := list(dict.fromkeys(islice(missing, batch))):
        embeddings = [encode(prompt) for prompt, _ in chosen]
        # Each sample has noise of its own: but for rounding, its batch does not matter.
        noise = torch.cat([seeded_noise(seed)(0, 0, (1, *settings.shape)) for _, seed in chosen])
        sampled = trajectory(
            teacher,
            noise.to(device),
            Conditioning.of(embeddings).to(device),
            guidance,
            settings.keep,
            steps=settings.steps,
            shift=settings.shift,
        )
        for (prompt, seed), context, states in zip(chosen, embeddings, sampled.states, strict=True):
            tensors = {TENSOR: states.half()}
            if with_context:
                tensors[CONTEXT] = context.half()
            key = content_hash(prompt, seed)
            made += writer.add(key, prompt, tensors, f"seed {seed}: {prompt}")
        if progress is not None:
            progress(made)
    return made
