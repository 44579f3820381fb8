"""Measures how steady long streams of CausVid Mini are: `python scripts/long_run.py`.

Rolls out the same prompts with every window policy, decodes the blocks and measures each of them:
colour, contrast, sharpness and size, time and memory. Prints the tables, writes them to
docs/long_run.md, draws docs/long_run.png and writes long_run.json. `--switch` measures instead how
soon the picture follows a new prompt in each switch mode. Without torch, it sets up and uses the
environment of scripts/demo.py.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

from hosting import command
from hosting.environment import ROOT

NEEDED = ("torch", "safetensors", "einops", "cv2", "PIL", "av")
REPORT_SECONDS = 20


def main() -> int:
    arguments = parse_arguments()
    if (status := command.run_where(NEEDED, figures=not arguments.switch)) is not None:
        return status
    os.environ.update(command.thread_variables(arguments.threads))
    command.import_core()
    if not arguments.switch:
        long_streams(arguments)
        return 0
    from measuring.switching import measure_switches, table

    from causvid_core.stream.presets import recipes

    parts = prepare(arguments.threads)
    print(table(measure_switches(parts, recipes["causvid-mini"], arguments.videos)))
    return 0


def long_streams(arguments: argparse.Namespace) -> None:
    """Measure every policy in its own process, then write and print the results."""
    from measuring import report
    from measuring.figure import require_matplotlib, save
    from measuring.rolling import POLICIES, Run, as_json

    from causvid_core.mini.world import held_out_specs

    require_matplotlib()
    jobs = [(name, arguments) for name in POLICIES]
    workers = multiprocessing.get_context("spawn")
    with workers.Pool(min(arguments.processes, len(jobs)), maxtasksperchild=1) as pool:
        done = [Run.from_plain(*plain) for plain in pool.imap(one_stream, jobs)]
    runs = dict(zip(POLICIES, done, strict=True))
    specs = held_out_specs(arguments.prompts)
    text = report.tables(runs)
    report.write_between(arguments.out / "long_run.md", text)
    save(report.figure(runs), arguments.out / "long_run.png")
    result = {
        "latent_frames": arguments.latent_frames,
        "prompts": [spec.caption for spec in specs],
        "seed": arguments.seed,
        "threads": arguments.threads,
        "runs": {name: as_json(run) for name, run in runs.items()},
    }
    arguments.json.write_text(json.dumps(result) + "\n", "utf-8")
    print(f"\n{text}\n\nWritten to {arguments.out} and {arguments.json}")


def one_stream(job: tuple[str, argparse.Namespace]) -> tuple[object, ...]:
    """The run of one policy, in a fresh process, as plain values."""
    name, arguments = job
    parts = prepare(arguments.threads)
    from measuring.rolling import POLICIES, roll

    from causvid_core.mini.world import held_out_specs

    specs = held_out_specs(arguments.prompts)
    length, seed = arguments.latent_frames, arguments.seed
    return roll(parts, POLICIES[name], specs, length, seed, progress(name)).to_plain()


def prepare(threads: int) -> object:
    """Limit this process to `threads` and load the Mini."""
    import cv2
    import torch
    from measuring.parts import mini

    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    return mini()


def progress(name: str) -> Callable[[int, int], None]:
    """A callback that prints a line every REPORT_SECONDS and at the end."""
    started = last = time.monotonic()

    def report(block: int, blocks: int) -> None:
        nonlocal last
        now = time.monotonic()
        if block == blocks or now - last > REPORT_SECONDS:
            last = now
            print(f"{name}: block {block}/{blocks}, {now - started:.0f} s", flush=True)

    return report


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure long streams and prompt switches.")
    parser.add_argument("--latent-frames", type=int, default=2000)
    parser.add_argument("--prompts", type=int, default=4, help="videos in a batch (default: 4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="per process (default: 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="policies at once")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="for the page and figure")
    parser.add_argument("--json", type=Path, default=ROOT / "long_run.json")
    parser.add_argument("--switch", action="store_true", help="measure prompt switches instead")
    parser.add_argument("--videos", type=int, default=16, help="for --switch (default: 16)")
    arguments = parser.parse_args()
    if arguments.latent_frames < 60 or arguments.prompts < 1 or arguments.videos < 1:
        parser.error("at least 60 latent frames and one video are needed")
    return arguments


if __name__ == "__main__":
    command.run(main)
