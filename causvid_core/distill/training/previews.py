"""Videos that a model makes while it learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from ...media.decoding import StreamDecoder
from ...media.latent_rgb import ColourDecoder
from ...media.loading import load_vae
from ...media.video import contact_sheet, write_mp4
from ...media.wan_stream import WanDecoder
from ...stream.geometry import FPS
from ...stream.rollout import rollout, start
from ...stream.window import WindowPolicy
from ..conditioning import Conditioning
from ..guidance import Guidance
from ..ode import trajectory
from .draws import Draws
from .stage import Stage

MIN_SIDE_PX = 256


def make_previews(stage: Stage, done: int, folder: Path) -> list[Path]:
    """Write a video of each of the first prompts, with the average of the weights if there is one.

    A causal model is rolled out by its recipe, a bidirectional one sampled with guidance. Every
    process has to call it; the first writes the files and returns them.
    """
    prompts, encoded = stage.samples.first(stage.experiment.samples.count)
    with stage.ema.applied_to(stage.network.bound.tree) if stage.ema else nullcontext():
        pieces = list(_latents(stage, encoded.to(stage.ranks.device)))
    if not stage.ranks.first:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    decoder = _decoder(stage)
    for number, prompt in enumerate(prompts):
        decoder.reset()
        px = torch.cat([decoder.decode(piece[number : number + 1]) for piece in pieces], dim=2)
        frames = list(rearrange(px[0], "c t h w -> t h w c").cpu())
        path = folder / f"step_{done:07d}_{number}.mp4"
        scale = max(1, MIN_SIDE_PX // min(px.shape[-2:]))
        write_mp4(path, frames, FPS, scale=scale, metadata={"comment": prompt})
        contact_sheet(frames, rows=1).save(path.with_suffix(".png"))
        written.append(path)
    return written


def _latents(stage: Stage, conditioning: Conditioning) -> Iterator[Tensor]:
    """Latents [B, 16, t, H, W], piece by piece."""
    experiment, network, device = stage.experiment, stage.network, stage.ranks.device
    data, recipe, settings = experiment.data, experiment.recipe, experiment.samples
    batch = len(conditioning.lengths)
    if network.causal:
        # The rollout expects the zero rows after a prompt.
        rows = network.bound.config.text_len - conditioning.context.shape[1]
        context = torch.nn.functional.pad(conditioning.context, (0, 0, 0, max(0, rows)))
        state = start(
            recipe,
            network.bound,
            height=data.latent_height,
            width=data.latent_width,
            batch=batch,
            seed=experiment.run.seed,
        )
        blocks = WindowPolicy.of(recipe).blocks_for(0, data.latent_frames)
        for block in rollout(network.bound, state, context, blocks=blocks):
            yield block.latents
        return
    draws = Draws(experiment.run.seed, 0, "previews", range(batch))
    size = (data.latent_frames, data.latent_height, data.latent_width)
    noise = draws.normal(network.bound.config.out_dim, *size).to(device)
    scale = settings.guidance_scale
    guidance = Guidance(scale, stage.no_prompt if scale != 1 else None)
    steps, shift = settings.guided_steps, experiment.flow_matching.shift
    yield trajectory(network, noise, conditioning, guidance, steps=steps, shift=shift).end


def _decoder(stage: Stage) -> StreamDecoder:
    vae, embedded = stage.experiment.samples.vae, stage.samples.embedded
    if not vae:
        return ColourDecoder()
    file = embedded.vae_file(vae) if embedded else Path(vae).expanduser()
    return WanDecoder(load_vae(file).to(stage.ranks.device))
