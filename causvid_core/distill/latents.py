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

from ..media.vae import WanVAE
from .trainer import step_generator
from .world import ClipSpec, render, sample_spec

log = logging.getLogger("causvid")


@torch.no_grad()
def encode_world(vae: WanVAE, clips: int, px_frames: int, seed: int, path: Path) -> None:
    """Write latents `[clips, 16, 1 + (px_frames - 1) / 4, h, w]` in float16 and their captions.

    Does nothing where `path` exists already.
    """
    if path.exists():
        return
    latents, specs = [], []
    for index in range(clips):
        spec = sample_spec(step_generator(seed, index))
        px = render([spec], px_frames).contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16):
            latents.append(vae.encode(px).half())
        specs.append(asdict(spec))
        if (index + 1) % 250 == 0:
            log.info("encoded %d of %d clips", index + 1, clips)
    part = path.with_suffix(".part")
    save_file({"latents": torch.cat(latents)}, part, {"specs": json.dumps(specs)})
    os.replace(part, path)


def read_world(path: Path) -> tuple[Tensor, list[ClipSpec]]:
    """The latents and the specs that `encode_world` wrote."""
    with safe_open(str(path), framework="pt") as file:
        specs = [ClipSpec(**spec) for spec in json.loads(file.metadata()["specs"])]
        return file.get_tensor("latents"), specs
