"""`python -m causvid_core render`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..media.fitting import FITS
from ..media.writer_codecs import CODECS, PIXEL_FORMATS, QUALITY
from ..stream.geometry import FPS
from ..stream.segment import SWITCHES

DTYPES = ("float32", "bfloat16", "float16")
EPILOG = """\
Ctrl-C leaves a video that plays and a stream, and says the command that goes on from there.
Without --checkpoint, CausVid Mini renders, which comes with the pack. Another checkpoint needs
--vae and, for its prompts, --context: a safetensors file with the embeddings that umT5-XXL gives,
a tensor of [tokens, 4096] named by each prompt."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to a parser's subcommands."""
    parser = subparsers.add_parser(
        "render",
        help="make a video of any length, written while it is made",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _what(parser.add_argument_group("what is seen"))
    _length(parser.add_argument_group("how long and large"))
    _files(parser.add_argument_group("files"))
    _models(parser.add_argument_group("models"))
    names = {action.dest: action.default for action in parser._actions}
    parser.set_defaults(run=_run, defaults=names)


def _what(group: argparse._ArgumentGroup) -> None:
    told = group.add_mutually_exclusive_group()
    told.add_argument("--prompt", help="one prompt throughout")
    told.add_argument(
        "--schedule",
        type=Path,
        metavar="FILE",
        help="a text with a scene a line, as in CausVid Prompt Schedule",
    )
    group.add_argument(
        "--mode",
        choices=SWITCHES,
        default="recache",
        help="what a new prompt does to what the stream remembers, unless its line "
        "says otherwise (default recache)",
    )
    seen = group.add_mutually_exclusive_group()
    seen.add_argument("--image", type=Path, help="a picture to begin with")
    seen.add_argument("--video", type=Path, help="footage to make over")
    group.add_argument(
        "--video-from",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="where in the footage to begin",
    )
    group.add_argument(
        "--strength",
        type=float,
        default=0.7,
        help="how much of the footage is replaced, 0 to 1 (0.7)",
    )
    group.add_argument(
        "--fit", choices=FITS, default=FITS[0], help="how pictures of another shape are made to fit"
    )
    group.add_argument("--seed", type=int, default=0)


def _length(group: argparse._ArgumentGroup) -> None:
    length = group.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--seconds", type=float, help="default: 4, or as long as the footage")
    group.add_argument("--size", help="WIDTHxHEIGHT in px, multiples of 16, such as 832x480")
    group.add_argument(
        "--scale", type=int, default=0, help="enlarge by whole px; default: to at least 256"
    )


def _files(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, help="default: video.mp4, or the next free name")
    group.add_argument("--overwrite", action="store_true", help="replace --out if it is there")
    group.add_argument("--resume", type=Path, metavar="STREAM", help="go on from a stream file")
    group.add_argument(
        "--save-stream",
        type=Path,
        metavar="STREAM",
        help="where the stream goes, to go on from it; without it only a render "
        "that was stopped leaves one, beside --out",
    )
    group.add_argument(
        "--codec", choices=CODECS, help="default: the one that --out's suffix stands for, or h264"
    )
    group.add_argument(
        "--quality",
        type=int,
        default=QUALITY,
        help=f"0 to 100, the same for every codec (default {QUALITY})",
    )
    group.add_argument(
        "--fps", type=float, default=FPS, help=f"at which the video plays (default {FPS:g})"
    )
    group.add_argument("--pixel-format", choices=PIXEL_FORMATS, default=PIXEL_FORMATS[0])
    group.add_argument("--sheet", type=Path, help="also write a picture of evenly chosen frames")


def _models(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--checkpoint", help="a causal Wan 2.1 transformer of any published layout")
    group.add_argument("--lora", help="a LoRA to apply, such as LongLive's")
    group.add_argument("--lora-strength", type=float, default=1.0)
    group.add_argument("--vae", help="Wan's VAE")
    group.add_argument("--context", metavar="FILE", help="embeddings of the prompts; see below")
    group.add_argument("--recipe", help="how the checkpoint is sampled")
    group.add_argument(
        "--allow-changes",
        action="store_true",
        help="go on with another model or recipe than the stream's",
    )
    group.add_argument("--device", help="default: cuda where there is one, else cpu")
    group.add_argument(
        "--dtype", choices=DTYPES, help="default: bfloat16 on a GPU, float32 elsewhere"
    )


def _run(arguments: argparse.Namespace) -> int:
    from .run import run

    return run(arguments)
