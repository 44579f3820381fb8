"""Tortures renders of CausVid Mini and counts what does not hold: `python scripts/torture.py`.

Every round harms a render at a random moment: it is killed, its disk is full, its folder deleted,
the clock jumps, or a second process wants the same name. Then it runs the same command, or queues
the same graph, to the end. The film must decode to the frames of an undisturbed render, the
stream's latents must be equal to the bit, and after a sweep nothing else may be left. What said
success must be there. Exit status 1 when anything was lost, wrong or orphaned. Needs POSIX.
"""

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hosting import command
from hosting.environment import SetupError
from hosting.pins import HOST_RELEASES
from hosting.server import ServerError

NEEDED = ("torch", "safetensors", "einops", "cv2", "PIL", "av")


def main() -> int:
    arguments = parse_arguments()
    if (status := command.run_where(NEEDED)) is not None:
        return status
    if os.name != "posix":
        raise SetupError("Torture needs fork and signals; run it on Linux or macOS.")
    os.environ.update(command.thread_variables(1))
    command.import_core()
    seed = random.randrange(2**32) if arguments.seed is None else arguments.seed
    print(f"--seed {seed}", flush=True)
    dice = random.Random(seed)
    with contextlib.ExitStack() as stack:
        # Not a TemporaryDirectory, which every fork would remove as it ends.
        base = Path(tempfile.mkdtemp(prefix="causvid-torture-"))
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        return torture(arguments, base, dice, stack)


def torture(
    arguments: argparse.Namespace, base: Path, dice: random.Random, stack: contextlib.ExitStack
) -> int:
    """Round after round until the time or the rounds are over; prints the counts."""
    import torch
    from torturing.judge import Findings
    from torturing.renders import Renders

    import causvid_core.render.run  # noqa: F401  (so that forks have it)

    torch.set_num_threads(1)
    over = {"cli": Renders(base, dice, arguments.small_disk)}
    if arguments.nodes:
        from torturing.graphs import Graphs

        over["nodes"] = stack.enter_context(Graphs(base, dice, arguments.nodes))
    chosen = [(rounds, harm) for rounds in over.values() for harm in rounds.harms]
    chosen = [one for one in chosen if not arguments.only or one[1] in arguments.only]
    findings = Findings()
    until = time.monotonic() + 60 * arguments.minutes
    queue: list = []
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() < until and findings.rounds.total() < arguments.rounds:
            queue = queue or dice.sample(chosen, len(chosen))
            rounds, harm = queue.pop()
            findings.rounds[harm] += 1
            before = len(findings.sentences)
            rounds.round(harm, findings)
            for sentence in findings.sentences[before:]:
                print(sentence, flush=True)
    print(f"\n{findings.table()}")
    return 1 if findings.sentences else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Harm renders of the Mini and count what is lost.")
    parser.add_argument("--minutes", type=float, default=10.0, help="default: 10")
    parser.add_argument("--rounds", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument("--seed", type=int, help="of harms and moments; default: a new one")
    parser.add_argument(
        "--nodes",
        choices=list(HOST_RELEASES),
        help="also over nodes, in this ComfyUI; without it over the command line alone",
    )
    parser.add_argument(
        "--small-disk",
        type=Path,
        metavar="FOLDER",
        help="a file system of a few MB to fill, such as a tmpfs; without it files of the harmed "
        "render cannot grow past a random size",
    )
    parser.add_argument("--only", action="append", metavar="HARM", help="may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    command.run(main, ServerError)
