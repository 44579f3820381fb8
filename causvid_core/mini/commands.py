"""Commands that make the Mini and judge it: `train-mini` and `evaluate-mini`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .settings import PARTS, STEPS


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the commands to a parser's subcommands."""
    train = subparsers.add_parser(
        "train-mini", help="train CausVid Mini from scratch; resumes where it was stopped"
    )
    train.add_argument("--folder", type=Path, default=Path("mini-training"))
    train.add_argument("--part", choices=(*PARTS, "all"), default="all")
    train.add_argument(
        "--workers", type=int, default=2, help="processes to train the transformer in"
    )
    train.add_argument(
        "--first-weights", type=Path, help="a transformer to start from instead of fresh weights"
    )
    train.add_argument("--steps", type=int, default=STEPS, help="training steps of the transformer")
    train.set_defaults(run=_train)
    evaluate = subparsers.add_parser(
        "evaluate-mini", help="measure CausVid Mini on prompts that it was not trained on"
    )
    evaluate.add_argument("--folder", type=Path, help="the weights to judge; default: the pack's")
    evaluate.add_argument("--weights", type=Path, help="a transformer in place of the folder's")
    evaluate.add_argument(
        "--teacher",
        action="store_true",
        help="sample it bidirectionally, in many guided steps, without long videos",
    )
    evaluate.add_argument("--teacher-steps", type=int, default=50)
    evaluate.add_argument(
        "--guidance",
        type=float,
        default=3.0,
        help="guidance scale of --teacher as samplers count it; 1 is off (default 3)",
    )
    evaluate.add_argument("--prompts", type=int, default=64)
    evaluate.add_argument("--long-prompts", type=int, default=16)
    evaluate.set_defaults(run=_evaluate)


def _train(arguments: argparse.Namespace) -> int:
    from .making import train

    return train(arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from .making import evaluate

    return evaluate(arguments)
