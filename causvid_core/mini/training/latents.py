"""The training set of the transformer: the world's clips as latents, encoded once."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...media.vae import WanVAE
from ..world import ClipSpec, render, sample_spec
from .trainer import step_generator

log = logging.getLogger("causvid")


SHARD = 250  # clips a file; what is finished is never encoded again


@torch.no_grad()
def encode_world(
    vae: WanVAE,
    clips: int,
    px_frames: int,
    seed: int,
    folder: Path,
    first_clip: int = 0,
    openings: bool = False,
) -> None:
    """Write clips from `first_clip` up to `clips` as shards in `folder`, skipping finished ones.

    openings: see `sample_spec`.
    A shard holds latents `[250, 16, 1 + (px_frames - 1) / 4, h, w]` in float16 and their specs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(first_clip, clips, SHARD):
        path = folder / f"{first:06d}.safetensors"
        if path.exists():
            continue
        specs = [
            sample_spec(step_generator(seed, index), openings)
            for index in range(first, min(first + SHARD, clips))
        ]
        latents = torch.cat([_encode(vae, spec, px_frames) for spec in specs])
        part = path.with_suffix(".part")
        save_file(
            {"latents": latents.contiguous()},
            part,
            {"specs": json.dumps([asdict(spec) for spec in specs])},
        )
        os.replace(part, path)
        log.info("encoded %d of %d clips", first + len(specs), clips)


def _encode(vae: WanVAE, spec: ClipSpec, px_frames: int) -> Tensor:
    px = render([spec], px_frames).contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        return vae.encode(px).half()


def read_world(folder: Path) -> tuple[Tensor, list[ClipSpec]]:
    """The latents and the specs that `encode_world` wrote."""
    latents, specs = [], []
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), framework="pt") as file:
            specs += [ClipSpec(**spec) for spec in json.loads(file.metadata()["specs"])]
            latents.append(file.get_tensor("latents"))
    if not latents:
        raise FileNotFoundError(f"{folder} holds no encoded clips; encode them first.")
    return torch.cat(latents), specs
