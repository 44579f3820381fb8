"""`python -m causvid_core sweep`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: Subparsers) -> None:
    """Add the command to a parser's subcommands."""
    parser = subparsers.add_parser(
        "sweep",
        help="remove the unfinished files that killed renders left in a folder",
        epilog="Only files are removed whose writer is provably gone. A film that is still being "
        "written, or that another machine may be writing, stays.",
    )
    parser.add_argument("folder", type=Path)
    parser.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace) -> None:
    from .reserve import leftovers, sweep

    folder = arguments.folder
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    for left in sweep(folder):
        print(f"removed {left.path.name} ({left.bytes:,} bytes)")
    for left in leftovers(folder):
        print(
            f"kept {left.path.name} ({left.bytes:,} bytes): it is being written, or was left by "
            "another machine"
        )
