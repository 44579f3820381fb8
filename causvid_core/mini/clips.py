"""The world's clips as latents, encoded once: what transformers learn from (data.kind "world")."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..media.vae import WanVAE
from ..storage import safetensors_file
from ..storage.shards import Sample
from .world import ClipSpec, generator_of, render, sample_spec

log = logging.getLogger("causvid")

SHARD = 250  # clips a file; a finished file is never encoded again


@torch.no_grad()
def encode_world(
    vae: WanVAE, clips: int, px_frames: int, seed: int, folder: Path, openings: bool = False
) -> None:
    """Write so many clips as shards in `folder`, skipping finished shards.

    A shard holds latents `[250, 16, 1 + (px_frames - 1) / 4, h, w]` in float16 and their specs.
    openings: see `sample_spec`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, clips, SHARD):
        path = folder / f"{first:06d}.safetensors"
        if path.exists():
            continue
        specs = [
            sample_spec(generator_of(seed, index), openings)
            for index in range(first, min(first + SHARD, clips))
        ]
        latents = torch.cat([_encode(vae, spec, px_frames) for spec in specs])
        header = {"specs": json.dumps([asdict(spec) for spec in specs])}
        safetensors_file.write(path, {"latents": latents}, header)
        log.info("encoded %d of %d clips", first + len(specs), clips)


def _encode(vae: WanVAE, spec: ClipSpec, px_frames: int) -> Tensor:
    px = render([spec], px_frames).contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        return vae.encode(px).half()


class World:
    """The clips that `encode_world` wrote, in memory; see `distill.embedded.Source`."""

    def __init__(self, folder: Path) -> None:
        latents: list[Tensor] = []
        self._specs: list[ClipSpec] = []
        self.settings: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb") as file:
                entries, header = safetensors_file.read_header(file)
                self._specs += [ClipSpec(**spec) for spec in json.loads(header["specs"])]
                latents.append(safetensors_file.read_tensor(file, entries["latents"]))
        if not latents:
            raise FileNotFoundError(f"{folder} holds no encoded clips; encode them first.")
        self._latents = torch.cat(latents)

    def __len__(self) -> int:
        return len(self._specs)

    def __getitem__(self, index: int) -> Sample:
        return Sample(str(index), self._specs[index].caption, {"latents": self._latents[index]})
