"""Commands that make training data: `encode-dataset` and `make-ode-pairs`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...media.fits import FITS
from ...stream.geometry import FPS, latent_size_from_px
from ...stream.presets import recipes
from ..embedded import EmbeddedModel

if TYPE_CHECKING:
    import torch

    from ...storage.shards import ShardWriter

log = logging.getLogger("causvid")

T = TypeVar("T")

_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def register(subparsers: argparse._SubParsersAction[Any], embedded: EmbeddedModel) -> None:
    """Add the commands to a parser's subcommands; they may name the embedded model."""
    _register_encode_dataset(subparsers, embedded)
    _register_make_ode_pairs(subparsers, embedded)


def _register_encode_dataset(
    subparsers: argparse._SubParsersAction[Any], embedded: EmbeddedModel
) -> None:
    parser = subparsers.add_parser(
        "encode-dataset",
        help="encode captioned videos as shards of latents to train on; resumes where it stopped",
    )
    parser.add_argument(
        "source",
        type=Path,
        help="a folder of videos, each with a .txt file of the same name, or a .csv or .jsonl file "
        "with columns video and caption",
    )
    parser.add_argument("folder", type=Path, help="where to write the shards")
    _add_size(parser)
    parser.add_argument("--px-frames", type=int, default=81, help="length of a clip; 1 + 4 n")
    parser.add_argument("--fps", type=float, default=FPS, help="frames to take from each second")
    parser.add_argument(
        "--stride",
        type=int,
        help="px frames from the start of one clip to the next; default: one clip a video",
    )
    parser.add_argument(
        "--fit", choices=FITS, default=FITS[0], help="what to do with videos of another shape"
    )
    parser.add_argument("--vae", default=embedded.name, help="Wan's VAE; default: the Mini's")
    _add_writing(parser, shard_size=64)
    parser.set_defaults(run=partial(_encode_dataset, embedded))


def _encode_dataset(embedded: EmbeddedModel, arguments: argparse.Namespace) -> None:
    from ...media.loading import load_vae
    from .encode_dataset import ClipSettings, captioned, clip_header, encode_dataset

    settings = ClipSettings(
        arguments.width,
        arguments.height,
        arguments.px_frames,
        arguments.fps,
        arguments.stride,
        arguments.fit,
    )
    vae = load_vae(embedded.vae_file(arguments.vae))
    vae.to(arguments.device, _dtype(arguments))
    videos = _own_part(captioned(arguments.source), arguments)
    with _writer(arguments, "clips", clip_header(vae, settings)) as writer:
        count = encode_dataset(vae, videos, settings, writer, partial(log.info, "%s: %d clips"))
        print(f"{arguments.folder}: {count} clips encoded, {len(writer)} in all")


def _register_make_ode_pairs(
    subparsers: argparse._SubParsersAction[Any], embedded: EmbeddedModel
) -> None:
    parser = subparsers.add_parser(
        "make-ode-pairs",
        help="sample a teacher into shards of trajectories for ODE regression; resumes where it "
        "stopped",
    )
    parser.add_argument("teacher", help="the transformer to sample")
    parser.add_argument("folder", type=Path, help="where to write the shards")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompts", type=Path, help="a text file with a prompt on each line")
    source.add_argument("--world", type=int, metavar="COUNT", help="prompts of the Mini's world")
    parser.add_argument(
        "--recipe", choices=sorted(recipes), default="causvid", help="the student's"
    )
    parser.add_argument(
        "--causal", action="store_true", help="sample a causal teacher in the recipe's blocks"
    )
    parser.add_argument("--steps", type=int, default=50, help="the teacher's (default 50)")
    parser.add_argument("--shift", type=float, help="the teacher's; default: the recipe's")
    parser.add_argument(
        "--guidance",
        type=float,
        default=6.0,
        help="guidance scale as samplers count it: uncond + SCALE * (cond - uncond); 1 is off "
        "(default 6)",
    )
    parser.add_argument("--negative", default="", help="the prompt that guidance leads away from")
    parser.add_argument("--latent-frames", type=int, default=21)
    _add_size(parser)
    parser.add_argument(
        "--texts",
        default=embedded.name,
        help="a folder of prompt embeddings, or mini for the Mini's text encoder",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first pair; then counted up")
    parser.add_argument("--batch", type=int, default=1, help="pairs to sample at once")
    _add_writing(parser, shard_size=16)
    parser.set_defaults(run=partial(_make_ode_pairs, embedded))


def _make_ode_pairs(embedded: EmbeddedModel, arguments: argparse.Namespace) -> None:
    from ...model.checkpoints import load_model
    from ..network import Network
    from .ode_pairs import PairSettings, make_ode_pairs
    from .prompt_embeddings import find_prompt_embeddings

    recipe = recipes[arguments.recipe]
    dtype = _dtype(arguments)
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
    if arguments.world:
        prompts = [embedded.prompt(arguments.seed, number) for number in range(arguments.world)]
    else:
        prompts = _lines(arguments.prompts)
    pairs = ((prompt, arguments.seed + number) for number, prompt in enumerate(prompts))
    with _writer(arguments, "ode-pairs", settings.header(teacher)) as writer:
        count = make_ode_pairs(
            teacher,
            _own_part(pairs, arguments),
            find_prompt_embeddings(arguments.texts, embedded),
            settings,
            writer,
            batch=arguments.batch,
            with_context=arguments.texts != embedded.name,
            progress=partial(log.info, "%d pairs made"),
        )
        print(f"{arguments.folder}: {count} pairs made, {len(writer)} in all")


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--width", type=int, default=832, help="px")
    parser.add_argument("--height", type=int, default=480, help="px")


def _add_writing(parser: argparse.ArgumentParser, shard_size: int) -> None:
    parser.add_argument("--shard-size", type=int, default=shard_size, help="samples in a file")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=sorted(_DTYPES), default="fp32")
    parser.add_argument("--parts", type=int, default=1, help="processes that share the work")
    parser.add_argument("--part", type=int, default=0, help="which of them this is, from 0")


def _dtype(arguments: argparse.Namespace) -> torch.dtype:
    import torch

    dtype: torch.dtype = getattr(torch, _DTYPES[arguments.precision])
    return dtype


def _writer(arguments: argparse.Namespace, kind: str, header: dict[str, Any]) -> ShardWriter:
    from ...storage.shards import ShardWriter

    return ShardWriter(arguments.folder, kind, header, arguments.shard_size, arguments.part)


def _own_part(items: Iterable[T], arguments: argparse.Namespace) -> Iterator[T]:
    """Every `parts`-th item, so that processes share the work. ValueError for a part too high."""
    if not 0 <= arguments.part < arguments.parts:
        raise ValueError(
            f"there is no part {arguments.part} of {arguments.parts}; parts are counted from 0 to "
            f"{arguments.parts - 1}"
        )
    return islice(items, arguments.part, None, arguments.parts)


def _lines(path: Path) -> list[str]:
    prompts = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not prompts:
        raise ValueError(f"{path} holds no prompts; write one a line")
    return prompts
