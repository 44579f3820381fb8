"""`python -m causvid_core render`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..media.fits import FITS
from ..media.writer_codecs import CODECS, PIXEL_FORMATS
from ..stream.segment import SWITCHES
from .request import RenderRequest

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as Group
    from argparse import _SubParsersAction as Subparsers

DTYPES = ("float32", "bfloat16", "float16")
EPILOG = """\
Until it is finished, the video of a.mp4 is a.part.mp4, which plays as far as it is. Ctrl-C leaves a
video that plays and a stream file, and prints the command that resumes from there; the video gets
its name, unless there is a finished one, which stays. What killed renders leave is removed with
`python -m causvid_core sweep FOLDER`; the same command writes over it and resumes from its last
checkpoint.
Without --checkpoint the command renders with CausVid Mini, which comes with the pack. Another
checkpoint needs --vae and, for its prompts, --context: a safetensors file with the embeddings that
umT5-XXL gives, a tensor of [tokens, 4096] named by each prompt."""


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command to a parser's subcommands."""
    parser = subparsers.add_parser(
        "render",
        help="make a video of any length, written to a file while it is made",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _content(parser.add_argument_group("what is seen"))
    _length(parser.add_argument_group("length and size"))
    _files(parser.add_argument_group("files"))
    _models(parser.add_argument_group("models"))
    usual = vars(RenderRequest())
    usual.pop("quiet")  # an option of the whole program
    parser.set_defaults(run=_run, **usual)


def _content(group: Group) -> None:
    prompts = group.add_mutually_exclusive_group()
    prompts.add_argument("--prompt", help="one prompt for the whole video")
    prompts.add_argument(
        "--schedule",
        type=Path,
        metavar="FILE",
        help="a text file with one scene per line, as in CausVid Prompt Schedule",
    )
    group.add_argument(
        "--mode",
        choices=SWITCHES,
        help="what happens to the stream's memory when the prompt changes, unless the line of the "
        "schedule says otherwise (default %(default)s)",
    )
    footage = group.add_mutually_exclusive_group()
    footage.add_argument("--image", type=Path, help="a picture for the video to begin with")
    footage.add_argument("--video", type=Path, help="a video to transform")
    group.add_argument(
        "--video-from", type=float, metavar="SECONDS", help="where in that video to begin"
    )
    group.add_argument(
        "--strength",
        type=float,
        help="how much of that video to replace, 0 to 1 (default %(default)g)",
    )
    group.add_argument(
        "--fit", choices=FITS, help="how pictures of another shape are fitted (default %(default)s)"
    )
    group.add_argument("--seed", type=int)


def _length(group: Group) -> None:
    length = group.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--seconds", type=float, help="default: 4, or as long as --video lasts")
    group.add_argument("--size", help="WIDTHxHEIGHT in px, multiples of 16, such as 832x480")
    group.add_argument(
        "--scale",
        type=int,
        help="enlarge by a whole factor; default: until both sides have at least 256 px",
    )


def _files(group: Group) -> None:
    group.add_argument("--out", type=Path, help="default: video.mp4, or the next free name")
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace --out, --save-stream and --sheet if they exist, when the new ones are whole",
    )
    group.add_argument("--resume", type=Path, metavar="STREAM", help="continue a stream file")
    group.add_argument(
        "--save-stream",
        type=Path,
        metavar="STREAM",
        help="where to save the stream, to continue it later; without this option only a render "
        "that was stopped saves one, next to --out",
    )
    group.add_argument(
        "--checkpoint-blocks",
        type=int,
        metavar="BLOCKS",
        help="after how many blocks to write a checkpoint, from which the same command resumes "
        "after a crash; they lie in .causvid-checkpoints next to --out; 0: none "
        "(default %(default)s)",
    )
    group.add_argument(
        "--codec", choices=CODECS, help="default: the one that --out's suffix stands for, or h264"
    )
    group.add_argument(
        "--quality",
        type=int,
        help="0 to 100, on the same scale for every codec (default %(default)s)",
    )
    group.add_argument(
        "--fps", type=float, help="frames per second at which the file plays (default %(default)g)"
    )
    group.add_argument("--pixel-format", choices=PIXEL_FORMATS)
    group.add_argument(
        "--sheet", type=Path, help="also write a picture with frames from the whole video"
    )


def _models(group: Group) -> None:
    group.add_argument("--checkpoint", help="a causal Wan 2.1 transformer in any published layout")
    group.add_argument("--lora", help="a LoRA to apply, such as LongLive's")
    group.add_argument("--lora-strength", type=float)
    group.add_argument("--vae", help="Wan's VAE")
    group.add_argument("--context", metavar="FILE", help="prompt embeddings; see below")
    group.add_argument("--recipe", help="how the checkpoint is sampled")
    group.add_argument(
        "--allow-changes",
        action="store_true",
        help="continue the stream with another model or recipe than it was made with",
    )
    group.add_argument("--device", help="default: cuda if there is one, else cpu")
    group.add_argument(
        "--dtype", choices=DTYPES, help="default: bfloat16 on a GPU, float32 on the CPU"
    )


def _run(arguments: argparse.Namespace) -> int:
    from .run import run

    names = [field.name for field in fields(RenderRequest)]
    return run(RenderRequest(**{name: getattr(arguments, name) for name in names}))
