"""The work of `train-mini` and `evaluate-mini`."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ..distill.network import Network
from ..distill.training.commands import require_torch
from ..media.loading import load_vae
from ..model.checkpoints import load_model
from ..storage import safetensors_file
from ..stream.geometry import latent_frames_from_px
from ..stream.presets import recipes
from .clips import encode_world
from .evaluate import Guided, Make, Streamed, evaluate_mini, vae_psnr
from .files import weights_path
from .settings import PARTS
from .text_encoder import TextEncoder, new_table
from .training.decoder import DecoderSettings, train_decoder
from .training.sketch import SketchSettings, train_sketch
from .training.transformer import RECIPE, train_transformer
from .training.vae import train_vae
from .vocabulary import VOCABULARY

log = logging.getLogger("causvid")

CLIPS = 2000
CLIP_PX_FRAMES = 45  # 12 latent frames: four blocks, one more than the window holds
VIDEOS = 6750  # as long, with their opening in place: what a whole video is, for the teacher
OPENINGS = 8000
OPENING_PX_FRAMES = 9  # one block


def train(arguments: argparse.Namespace) -> int:
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS if arguments.part == "all" else (arguments.part,):
        log.info("training %s in %s", part, folder)
        if part not in ("text", "latents"):
            require_torch()
        if part == "text":
            _write(folder, "text", {"words": new_table()}, {"words": " ".join(VOCABULARY)})
        elif part == "vae":
            _write(folder, "vae", train_vae(folder), {})
        elif part == "decoder":
            weights = load_file(weights_path("vae", folder))
            _write(folder, "vae", train_decoder(DecoderSettings(), weights, folder), {})
        elif part == "sketch":
            vae = load_vae(weights_path("vae", folder))
            _write(folder, "sketch", train_sketch(SketchSettings(), vae, folder), {})
        elif part == "latents":
            vae = load_vae(weights_path("vae", folder))
            encode_world(vae, CLIPS, CLIP_PX_FRAMES, 2, folder / "clips")
            encode_world(vae, OPENINGS, OPENING_PX_FRAMES, 3, folder / "openings", openings=True)
            encode_world(vae, VIDEOS, CLIP_PX_FRAMES, 4, folder / "videos", openings=True)
        elif not train_transformer(
            folder, arguments.steps, arguments.first_weights, arguments.workers
        ):
            return 130
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    folder, recipe = arguments.folder, recipes[RECIPE]
    model = load_model(str(arguments.weights or weights_path("dit", folder)))
    vae = load_vae(weights_path("vae", folder))
    text = TextEncoder.load(weights_path("text", folder))
    long_prompts = arguments.long_prompts
    make: Make = Streamed(model, text, recipe)
    if arguments.teacher:
        network = Network.bidirectional(model)
        make = Guided(network, text, recipe.shift, arguments.guidance, arguments.teacher_steps)
        long_prompts = 0
    frames = latent_frames_from_px(CLIP_PX_FRAMES)
    figures = {"vae_psnr_db": vae_psnr(vae)}
    figures |= evaluate_mini(make, vae, frames, arguments.prompts, long_prompts)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))
    return 0


def _write(folder: Path, name: str, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a part of the Mini whole or not at all."""
    target = weights_path(name, folder)
    safetensors_file.write(target, tensors, {"format": "pt", **header})
    log.info("wrote %s, %.1f MB", target, target.stat().st_size / 1e6)
