"""`python -m causvid_core`: checkpoints, rendering, and what other modules register.

A command is a function `register(subparsers)` which adds a parser and sets its default `run`: a
function of the parsed arguments that returns an exit status, or None for success. Errors meant
for people are printed in one sentence; the exit status is then 2.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence

from .distill.training.commands import register as register_trainer
from .mini.commands import register as register_training
from .progress import ProgressLine
from .render.command import register as register_rendering

_DESCRIPTION = "Causal Wan models without ComfyUI: checkpoints, rendering, training."
_DTYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m causvid_core", description=_DESCRIPTION)
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    for register in _registrations():
        register(subparsers)
    args = parser.parse_args(argv)
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("causvid").setLevel(level)
    try:
        return args.run(args) or 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if args.debug:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _registrations() -> Iterator:
    yield register_inspect
    yield register_convert
    yield register_download
    yield register_rendering
    yield register_training
    yield register_trainer


def register_inspect(subparsers) -> None:
    """`inspect PATH`."""
    parser = subparsers.add_parser("inspect", help="say what a checkpoint or LoRA file is")
    parser.add_argument("path", nargs="+", help="a file, or a diffusers folder")
    parser.set_defaults(run=_inspect)


def _inspect(args: argparse.Namespace) -> None:
    from .model.checkpoints import summarise

    logging.getLogger("causvid").setLevel(logging.WARNING)
    for path in args.path:
        for name, value in summarise(path).items():
            print(f"{name + ':':<21}{value}")


def register_convert(subparsers) -> None:
    """`convert IN OUT.safetensors`."""
    parser = subparsers.add_parser(
        "convert", help="write the safetensors file that ComfyUI's own loader opens"
    )
    parser.add_argument("source", help="a checkpoint of any published layout")
    parser.add_argument("target", help="the .safetensors file to write")
    parser.add_argument("--lora", help="a LoRA to merge, such as LongLive's")
    parser.add_argument("--lora-strength", type=float, default=1.0)
    parser.add_argument("--dtype", choices=_DTYPES, help="default: as it is stored")
    parser.add_argument("--heads", type=int, help="attention heads, where not width / 128")
    parser.add_argument(
        "--bidirectional", action="store_true", help="not a causal model: leave its mark out"
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


def register_download(subparsers) -> None:
    """`download NAME`."""
    parser = subparsers.add_parser(
        "download",
        help="fetch a published checkpoint at a pinned commit",
        epilog="HF_ENDPOINT "
        "names a mirror, HF_TOKEN an account. Nothing is fetched without this command.",
    )
    parser.add_argument("name", nargs="?", help="without a name, the known ones are listed")
    parser.add_argument("--folder", help="default: models/<kind> under the current folder")
    parser.add_argument("--keep-original", action="store_true", help="keep a converted .pt file")
    parser.add_argument("--no-convert", action="store_true", help="leave a .pt file as it is")
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
