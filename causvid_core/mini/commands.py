"""Commands that make the Mini and judge it, and those that make data to train on."""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from ..distill.data.commands import register as register_data
from ..distill.network import Network
from ..media.loading import load_vae
from ..model.checkpoints import load_model
from ..stream.geometry import latent_frames_from_px
from ..stream.presets import recipes
from . import weights_path
from .evaluate import Guided, Make, Streamed, evaluate_mini, vae_psnr
from .text_encoder import TextEncoder, new_table
from .training.decoder import DecoderSettings, train_decoder
from .training.latents import encode_world
from .training.parallel import is_first, run_workers
from .training.sketch import SketchSettings, train_sketch
from .training.transformer import DiTSettings, train_dit
from .training.vae import VAESettings, train_vae
from .vocabulary import VOCABULARY

log = logging.getLogger("causvid")

RECIPE = "causvid-mini"
CLIPS = 2000
CLIP_PX_FRAMES = 45  # 12 latent frames: four blocks, one more than the window holds
VIDEOS = 6750  # as long, with their opening in place: what a whole video is, for the teacher
OPENINGS = 8000
OPENING_PX_FRAMES = 9  # one block
PARTS = ("text", "vae", "decoder", "sketch", "latents", "dit")


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands to a parser's subcommands."""
    train = subparsers.add_parser(
        "train-mini", help="train CausVid Mini from nothing; resumes where it was stopped"
    )
    train.add_argument("--folder", type=Path, default=Path("mini-training"))
    train.add_argument("--part", choices=(*PARTS, "all"), default="all")
    train.add_argument("--workers", type=int, default=2, help="processes of the transformer")
    train.add_argument(
        "--first-weights", type=Path, help="a transformer to begin with instead of fresh weights"
    )
    train.add_argument(
        "--steps", type=int, default=DiTSettings.steps, help="training steps of the transformer"
    )
    train.set_defaults(run=_train)
    evaluate = subparsers.add_parser(
        "evaluate-mini", help="measure CausVid Mini on prompts that training never saw"
    )
    evaluate.add_argument("--folder", type=Path, help="weights to judge; the pack's by default")
    evaluate.add_argument("--weights", type=Path, help="another transformer than the folder's")
    evaluate.add_argument(
        "--teacher",
        action="store_true",
        help="sample it bidirectionally, in many steps under guidance, without long videos",
    )
    evaluate.add_argument("--teacher-steps", type=int, default=50)
    evaluate.add_argument("--guidance", type=float, default=2.0, help="of --teacher")
    evaluate.add_argument("--prompts", type=int, default=64)
    evaluate.add_argument("--long-prompts", type=int, default=16)
    evaluate.set_defaults(run=_evaluate)
    register_data(subparsers)


def _train(arguments: argparse.Namespace) -> int:
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS if arguments.part == "all" else (arguments.part,):
        log.info("training %s in %s", part, folder)
        if part == "dit":
            run_workers(
                _train_dit, arguments.workers, folder, arguments.first_weights, arguments.steps
            )
        else:
            _TRAIN[part](folder)
    return 0


def _train_text(folder: Path) -> None:
    _write(folder, "text", {"words": new_table()}, {"words": " ".join(VOCABULARY)})


def _train_vae(folder: Path) -> None:
    _write(folder, "vae", train_vae(VAESettings(), folder), {})


def _train_decoder(folder: Path) -> None:
    weights = load_file(_file(folder, "vae"))
    _write(folder, "vae", train_decoder(DecoderSettings(), weights, folder), {})


def _train_sketch(folder: Path) -> None:
    vae = load_vae(_file(folder, "vae"))
    _write(folder, "sketch", train_sketch(SketchSettings(), vae, folder), {})


def _encode_latents(folder: Path) -> None:
    vae = load_vae(_file(folder, "vae"))
    encode_world(vae, CLIPS, CLIP_PX_FRAMES, seed=2, folder=folder / "clips")
    for name, count, px_frames, seed in (
        ("openings", OPENINGS, OPENING_PX_FRAMES, 3),
        ("videos", VIDEOS, CLIP_PX_FRAMES, 4),
    ):
        encode_world(vae, count, px_frames, seed, folder / name, openings=True)


def _train_dit(folder: Path, first_weights: Path | None, steps: int) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = recipes[RECIPE]
    settings = DiTSettings(
        timesteps=tuple(float(t) for t in recipe.schedule(0).timesteps),
        shift=recipe.shift,
        frames_per_block=recipe.frames_per_block,
        window_blocks=recipe.window // recipe.frames_per_block,
        steps=steps,
    )
    text = TextEncoder.load(_file(folder, "text"))
    average = train_dit(
        settings, folder / "clips", folder / "openings", folder, text, first_weights
    )
    if not is_first():
        return
    header = {
        "config": json.dumps({"transformer": {"causal_ar": True}}),
        "causvid_recipe": RECIPE,
        "trained_latent_frames": str(latent_frames_from_px(CLIP_PX_FRAMES)),
    }
    _write(folder, "dit", {k: v.half() for k, v in average.items()}, header)


_TRAIN = {
    "text": _train_text,
    "vae": _train_vae,
    "decoder": _train_decoder,
    "sketch": _train_sketch,
    "latents": _encode_latents,
}


def _evaluate(arguments: argparse.Namespace) -> int:
    folder, recipe = arguments.folder, recipes[RECIPE]
    model = load_model(str(arguments.weights or _file(folder, "dit")))
    vae, text = load_vae(_file(folder, "vae")), TextEncoder.load(_file(folder, "text"))
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


def _file(folder: Path | None, name: str) -> Path:
    return weights_path(name) if folder is None else folder / weights_path(name).name


def _write(folder: Path, name: str, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a part of the Mini whole or not at all."""
    target = _file(folder, name)
    part = target.with_suffix(".part")
    save_file({k: v.contiguous() for k, v in tensors.items()}, part, {"format": "pt", **header})
    os.replace(part, target)
    log.info("wrote %s, %.1f MB", target, target.stat().st_size / 1e6)
