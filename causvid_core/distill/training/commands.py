"""`train` and `export`."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from typing import Any

from ..embedded import EmbeddedModel

log = logging.getLogger("causvid")

TORCH = (2, 10)  # checkpoints without pickles, Muon, and FSDP of modules in groups


def register(subparsers: argparse._SubParsersAction[Any], embedded: EmbeddedModel) -> None:
    """Add the commands to a parser's subcommands; a config may name the embedded model."""
    train = subparsers.add_parser(
        "train",
        help="run a stage of a distillation from its config",
        epilog="On several GPUs: torchrun --nproc-per-node 8 -m causvid_core train CONFIG",
    )
    train.add_argument("config", help="a TOML file; the pack's own are in configs")
    train.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a value of the config, such as run.folder=/data/run; may be repeated",
    )
    train.add_argument("--resume", action="store_true", help="continue from the newest checkpoint")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    train.add_argument(
        "--dry-run",
        action="store_true",
        help="only calculate what the run takes; needs no weights, no data and no GPU",
    )
    train.add_argument(
        "--gpus", type=int, help="for the dry run; default: as many as need no accumulation"
    )
    train.add_argument(
        "--tflops",
        type=float,
        default=400.0,
        help="for the dry run: what a GPU reaches in training (default 400)",
    )
    train.set_defaults(run=partial(_train, embedded))
    export = subparsers.add_parser("export", help="write a run's weights as a checkpoint")
    export.add_argument("folder", help="the run's folder")
    export.add_argument("target", help="the .safetensors file to write")
    export.add_argument(
        "--raw", action="store_true", help="the weights themselves, not their average"
    )
    export.add_argument("--step", type=int, help="default: the newest checkpoint")
    export.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    export.set_defaults(run=_export)


def _train(embedded: EmbeddedModel, arguments: argparse.Namespace) -> int:
    from .config import read_config, require_paths

    experiment = read_config(arguments.config, arguments.overrides)
    if arguments.dry_run:
        from .estimate import describe

        gpus = arguments.gpus or max(1, experiment.batch.size // experiment.batch.per_rank)
        print(describe(experiment, gpus, arguments.tflops * 1e12))
        return 0
    require_paths(experiment)
    require_torch()

    from .ranks import joined
    from .run import train

    with joined(arguments.device) as ranks:
        if not ranks.first:
            log.setLevel(logging.ERROR)
        done = train(experiment, ranks, arguments.resume, embedded)
    return 0 if done == experiment.steps else 130


def require_torch() -> None:
    """Raise RuntimeError when this version of torch cannot train."""
    import torch

    found = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if found < TORCH:
        raise RuntimeError(
            f"training needs torch {TORCH[0]}.{TORCH[1]} or newer; this is {torch.__version__}"
        )


def _export(arguments: argparse.Namespace) -> None:
    import torch

    from .export import export

    dtype = getattr(torch, arguments.dtype)
    print(
        export(
            arguments.folder, arguments.target, raw=arguments.raw, step=arguments.step, dtype=dtype
        )
    )
