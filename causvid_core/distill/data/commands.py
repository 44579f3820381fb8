"""Commands that make training data: `encode-dataset` and `make-ode-pairs`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch

from ...media.fitting import FITS
from ...media.loading import load_vae
from ...mini import weights_path
from ...mini.training.trainer import step_generator
from ...mini.world import sample_spec
from ...model.checkpoints import load_model
from ...storage.shards import ShardWriter
from ...stream.geometry import FPS, latent_size_from_px
from ...stream.presets import recipes
from ..network import Network
from .encode_dataset import ClipSettings, captioned, clip_header, encode_dataset
from .ode_pairs import PairSettings, make_ode_pairs
from .texts import MINI, find_texts

log = logging.getLogger("causvid")

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands to a parser's subcommands."""
    _register_encode_dataset(subparsers)
    _register_make_ode_pairs(subparsers)


def _register_encode_dataset(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "encode-dataset",
        help="turn captioned videos into shards of latents to train on; goes on where it stopped",
    )
    parser.add_argument(
        "source",
        type=Path,
        help="a folder of videos with a .txt beside each, or a .csv or .jsonl file with columns "
        "video and caption",
    )
    parser.add_argument("folder", type=Path, help="where the shards go")
    parser.add_argument("--width", type=int, default=832, help="px")
    parser.add_argument("--height", type=int, default=480, help="px")
    parser.add_argument("--px-frames", type=int, default=81, help="of a clip; 1 + 4 n")
    parser.add_argument("--fps", type=float, default=FPS, help="frames taken a second")
    parser.add_argument(
        "--stride", type=int, help="px frames from clip to clip; default: one clip a video"
    )
    parser.add_argument("--fit", choices=FITS, default=FITS[0], help="for videos of another shape")
    parser.add_argument("--vae", default=MINI, help="Wan's VAE; default: the Mini's")
    _add_writing(parser, shard_size=64)
    parser.set_defaults(run=_encode_dataset)


def _encode_dataset(arguments: argparse.Namespace) -> None:
    settings = ClipSettings(
        arguments.width,
        arguments.height,
        arguments.px_frames,
        arguments.fps,
        arguments.stride,
        arguments.fit,
    )
    file = weights_path("vae") if arguments.vae == MINI else arguments.vae
    vae = load_vae(file)
    vae.to(arguments.device, _DTYPES[arguments.precision])
    videos = _own_part(captioned(arguments.source), arguments)

    def progress(path: Path, taken: int) -> None:
        log.info("%s: %d clips", path, taken)

    header = clip_header(vae, settings)
    with ShardWriter(
        arguments.folder, "clips", header, arguments.shard_size, arguments.part
    ) as writer:
        count = encode_dataset(vae, videos, settings, writer, progress)
        print(f"{arguments.folder}: {count} clips encoded, {len(writer)} in all")


def _register_make_ode_pairs(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "make-ode-pairs",
        help="sample a bidirectional teacher into shards that a student begins with; goes on "
        "where it stopped",
    )
    parser.add_argument("teacher", help="the transformer that is sampled")
    parser.add_argument("folder", type=Path, help="where the shards go")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompts", type=Path, help="a text file, a prompt a line")
    source.add_argument("--world", type=int, metavar="COUNT", help="prompts of the Mini's world")
    parser.add_argument(
        "--recipe", choices=sorted(recipes), default="causvid", help="the student's"
    )
    parser.add_argument(
        "--causal", action="store_true", help="a causal teacher, sampled in the recipe's blocks"
    )
    parser.add_argument("--steps", type=int, default=50, help="of the teacher (default 50)")
    parser.add_argument("--shift", type=float, help="of the teacher; default: the recipe's")
    parser.add_argument(
        "--guidance",
        type=float,
        default=5.0,
        help="cond + GUIDANCE * (cond - uncond); one less than samplers count (default 5)",
    )
    parser.add_argument("--negative", default="", help="what guidance leads away from")
    parser.add_argument("--latent-frames", type=int, default=21)
    parser.add_argument("--width", type=int, default=832, help="px")
    parser.add_argument("--height", type=int, default=480, help="px")
    parser.add_argument(
        "--texts", default=MINI, help="encodings of the prompts: shards, or mini for the Mini's"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first pair; each has its own")
    parser.add_argument("--batch", type=int, default=1, help="pairs sampled at once")
    _add_writing(parser, shard_size=16)
    parser.set_defaults(run=_make_ode_pairs)


def _make_ode_pairs(arguments: argparse.Namespace) -> None:
    recipe = recipes[arguments.recipe]
    dtype = _DTYPES[arguments.precision]
    model = load_model(arguments.teacher, None, arguments.device, dtype)
    teacher = Network.of(model, recipe) if arguments.causal else Network.bidirectional(model)
    size = latent_size_from_px(arguments.height), latent_size_from_px(arguments.width)
    teacher.bound.config.grid(*size)
    settings = PairSettings(
        recipe.schedule(0),
        (teacher.bound.config.out_dim, arguments.latent_frames, *size),
        arguments.steps,
        arguments.shift or recipe.shift,
        arguments.guidance,
        arguments.negative,
    )
    prompts = _world_prompts(arguments) if arguments.world else _lines(arguments.prompts)
    pairs = ((prompt, arguments.seed + number) for number, prompt in enumerate(prompts))
    with ShardWriter(
        arguments.folder,
        "ode-pairs",
        settings.header(teacher),
        arguments.shard_size,
        arguments.part,
    ) as writer:
        count = make_ode_pairs(
            teacher,
            _own_part(pairs, arguments),
            find_texts(arguments.texts),
            settings,
            writer,
            batch=arguments.batch,
            with_context=arguments.texts != MINI,
            progress=lambda made: log.info("%d pairs made", made),
        )
        print(f"{arguments.folder}: {count} pairs made, {len(writer)} in all")


def _add_writing(parser: argparse.ArgumentParser, shard_size: int) -> None:
    parser.add_argument("--shard-size", type=int, default=shard_size, help="samples a file")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=sorted(_DTYPES), default="fp32")
    parser.add_argument("--parts", type=int, default=1, help="processes that share the work")
    parser.add_argument("--part", type=int, default=0, help="which of them this is, from 0")


def _own_part(items: Iterator, arguments: argparse.Namespace) -> Iterator:
    """Every `parts`-th, so that processes share the work. ValueError for a part there is not."""
    if not 0 <= arguments.part < arguments.parts:
        raise ValueError(
            f"part {arguments.part} of {arguments.parts} is none; count from 0 to "
            f"{arguments.parts - 1}"
        )
    return islice(items, arguments.part, None, arguments.parts)


def _world_prompts(arguments: argparse.Namespace) -> Iterator[str]:
    for number in range(arguments.world):
        yield sample_spec(step_generator(arguments.seed, number), opening=True).caption


def _lines(path: Path) -> list[str]:
    prompts = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not prompts:
        raise ValueError(f"{path} holds no prompts; write one a line")
    return prompts
