"""What the commands of scripts/ share: how they end, options, and the interpreter they need."""

import argparse
import importlib.util
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from .environment import ROOT, Environment, SetupError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run(main: Callable[[], int], *expected: type[Exception]) -> NoReturn:
    """End the program with the exit status that `main` returns.

    After a SetupError or one of the `expected` errors it prints the message and exits with 1,
    after Ctrl-C with 130.
    """
    for_a_person: tuple[type[Exception], ...] = (SetupError, *expected)
    try:
        sys.exit(main())
    except for_a_person as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def add_torch_index(parser: argparse.ArgumentParser) -> None:
    """Add the option that Environment takes as `torch_index_url`."""
    parser.add_argument(
        "--torch-index-url", help="a further package index for torch, e.g. one with smaller builds"
    )


def import_core() -> None:
    """Make this checkout's `causvid_core` importable.

    Not for a process that runs ComfyUI: the checkout's folder `nodes` would shadow its module.
    """
    sys.path.insert(0, str(ROOT))


def thread_variables(threads: int) -> dict[str, str]:
    """Environment variables that fix the number of threads of everything torch calls."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def runs_in(environment: Environment) -> bool:
    """Whether this process runs the interpreter of the environment."""
    return Path(sys.prefix).resolve() == environment.python.parents[1].resolve()


def run_where(needed: Sequence[str], figures: bool = False) -> int | None:
    """Run this command in the environment if a package is missing here; returns its exit status.

    None when all are here. figures: see Environment.ensure. Raises SetupError when the environment
    lacks one, too.
    """
    if all(importlib.util.find_spec(name) for name in needed):
        return None
    environment = Environment()
    environment.ensure([], figures=figures)
    if runs_in(environment):
        raise SetupError(f"{environment.python} lacks one of {', '.join(needed)}.")
    return run_again(environment)


def run_again(environment: Environment, *arguments: str) -> int:
    """Run this command in the environment, with further arguments; returns its exit status.

    SIGTERM is passed on, so that the child can stop what it has started. Ctrl-C reaches it from
    the terminal.
    """
    sys.stdout.flush()
    child = subprocess.Popen([environment.python, *sys.argv, *arguments])
    previous = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)
