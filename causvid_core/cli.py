"""`python -m causvid_core`: checkpoints, rendering, training.

Each package with commands has a function `register(subparsers)`, which adds a parser for each of
them and sets its default `run`: a function of the parsed arguments that returns an exit status, or
None for success. Errors meant for people are printed as one sentence, with exit status 2.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from .distill.data.commands import register as register_data
from .distill.training.commands import register as register_training
from .mini.commands import register as register_mini
from .mini.embedded import MINI
from .progress import ProgressLine
from .render.command import register as register_render
from .storage.commands import register as register_sweep

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_DESCRIPTION = "Causal Wan models without ComfyUI: checkpoints, rendering, training."
_DTYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m causvid_core", description=_DESCRIPTION)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    for register in _COMMANDS:
        register(subparsers)
    args = parser.parse_args(argv)
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("causvid").setLevel(level)
    try:
        return int(args.run(args) or 0)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if args.debug:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _register_inspect(subparsers: Subparsers) -> None:
    """`inspect PATH`."""
    parser = subparsers.add_parser("inspect", help="say what is in a checkpoint or LoRA file")
    parser.add_argument("path", nargs="+", help="a file, or a diffusers folder")
    parser.set_defaults(run=_inspect)


def _inspect(args: argparse.Namespace) -> None:
    from .model.checkpoints import summarise

    logging.getLogger("causvid").setLevel(logging.WARNING)
    for path in args.path:
        for name, value in summarise(path).items():
            print(f"{name + ':':<21}{value}")


def _register_convert(subparsers: Subparsers) -> None:
    """`convert IN OUT.safetensors`."""
    parser = subparsers.add_parser(
        "convert", help="write the safetensors file that ComfyUI's own loader opens"
    )
    parser.add_argument("source", help="a checkpoint of any published layout")
    parser.add_argument("target", help="the .safetensors file to write")
    parser.add_argument("--lora", help="a LoRA to merge, such as LongLive's")
    parser.add_argument("--lora-strength", type=float, default=1.0)
    parser.add_argument("--dtype", choices=_DTYPES, help="default: the stored one")
    parser.add_argument("--heads", type=int, help="attention heads, if not width / 128")
    parser.add_argument(
        "--bidirectional", action="store_true", help="not a causal model: do not mark it as one"
    )
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> None:
    import torch

    from .model.checkpoints import convert

    path = convert(
        args.source,
        args.target,
        args.lora,
        getattr(torch, args.dtype) if args.dtype else None,
        num_heads=args.heads,
        lora_strength=args.lora_strength,
        causal=not args.bidirectional,
        progress=_progress(),
    )
    print(path)


def _register_download(subparsers: Subparsers) -> None:
    """`download NAME`."""
    parser = subparsers.add_parser(
        "download",
        help="fetch a published checkpoint at a pinned commit",
        epilog="HF_ENDPOINT names a mirror, HF_TOKEN an account. Only this command goes online.",
    )
    parser.add_argument("name", nargs="?", help="without it, all names are listed")
    parser.add_argument("--folder", help="default: models/<kind> in the current folder")
    parser.add_argument(
        "--keep-original", action="store_true", help="keep a .pt file after converting it"
    )
    parser.add_argument("--no-convert", action="store_true", help="do not convert a .pt file")
    parser.set_defaults(run=_download)


def _download(args: argparse.Namespace) -> None:
    from .model.checkpoints import DOWNLOADS, download

    if args.name is None:
        for name, entry in DOWNLOADS.items():
            print(f"{name:<32}{entry.about}; {entry.repository.licence}")
        return
    path = download(
        args.name,
        args.folder,
        _progress(),
        as_safetensors=not args.no_convert,
        keep_original=args.keep_original,
    )
    print(path)


def _progress() -> Callable[[int, int], None]:
    """Bytes done, of how many, as a bar on a terminal; nothing elsewhere."""
    line = ProgressLine(sys.stderr, log_seconds=None)

    def show(done: int, total: int) -> None:
        line.show(done / max(total, 1), f"{done >> 20:,} of {total >> 20:,} MB")
        if done >= total:
            line.finish()

    return show


_COMMANDS = (
    _register_inspect,
    _register_convert,
    _register_download,
    register_render,
    register_sweep,
    register_mini,
    partial(register_data, embedded=MINI),
    partial(register_training, embedded=MINI),
)
