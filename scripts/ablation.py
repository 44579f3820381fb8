"""CausVid's ablation on CausVid Mini: `python scripts/ablation.py --teacher teacher.safetensors`.

Trains every network of the table with several seeds, measures them and writes tables, curves and
strips of samples to docs/distillation.md. Networks that were measured before are skipped, and an
interrupted training resumes from its checkpoint. docs/training.md shows how to make the teacher,
its ODE pairs and the clips.
"""

import argparse
import json
import logging
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from hosting import command
from hosting.environment import ROOT


def main() -> int:
    arguments = parse_arguments()
    os.environ.update(command.thread_variables(1))
    command.import_core()
    from measuring.ablation import TRAININGS
    from measuring.figure import require_matplotlib

    require_matplotlib()
    names = arguments.only or list(TRAININGS)
    if not arguments.report:
        seeds = range(arguments.seeds)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(arguments.processes, len(seeds)), spawn) as pool:
            done = [pool.submit(one_seed, arguments, names, seed) for seed in seeds]
            for future in done:
                future.result()
    write_report(arguments, names)
    return 0


def one_seed(arguments: argparse.Namespace, names: Sequence[str], seed: int) -> None:
    """Train and measure the networks of one seed, one after the other, on one thread."""
    import torch
    from measuring.ablation import TEACHER, run, with_needed

    torch.set_num_threads(1)
    shared = [TEACHER] if seed == 0 else []  # the teacher is the same for all seeds
    for name in [*shared, *with_needed(names)]:
        log = arguments.folder / f"{name}_{seed}.log"
        logging.basicConfig(filename=log, level=logging.INFO, force=True)
        folder = run(job(arguments, name, seed), ROOT / "configs")
        print(f"measured {folder}", flush=True)


def job(arguments: argparse.Namespace, name: str, seed: int) -> object:
    from measuring.ablation import Job

    return Job(
        name,
        seed,
        arguments.folder,
        arguments.teacher,
        arguments.guidance,
        tuple(arguments.overrides),
        arguments.prompts,
        arguments.long_prompts,
    )


def write_report(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Write what has been measured so far to the page. The speeds are measured now."""
    from measuring import ablation, ablation_report, report
    from measuring.figure import save
    from PIL import Image

    from causvid_core.model.checkpoints import load_model

    results, pictures = {}, {}
    for name in ablation_report.LABELS:
        folders = [job(arguments, name, seed).home for seed in range(arguments.seeds)]
        done = [folder for folder in dict.fromkeys(folders) if (folder / ablation.DONE).exists()]
        if done and (name in names or name == ablation.TEACHER):
            results[name] = [json.loads((one / ablation.DONE).read_text("utf-8")) for one in done]
            pictures[name] = Image.open(done[0] / "strip.png")
    speed = ablation.speed(load_model(str(arguments.teacher)), arguments.guidance)
    text = f"{ablation_report.table(results)}\n\n{ablation_report.speed_table(speed)}"
    marks = ablation_report.BEGIN, ablation_report.END
    report.write_between(arguments.out / "distillation.md", text, *marks)
    length = ablation.FRAMES * ablation.TENTHS
    save(ablation_report.curves(results, length), arguments.out / "distillation.png")
    strips = ablation_report.strips(pictures)
    save(strips, arguments.out / "distillation_samples.png", colours=255)
    print(text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train and measure the ablation of CausVid.")
    parser.add_argument("--teacher", type=Path, required=True, help="bidirectional weights")
    parser.add_argument("--guidance", type=float, default=2.5, help="guidance scale in 50 steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", help="a network by name; may be repeated")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--prompts", type=int, default=64, help="videos of the trained length")
    parser.add_argument("--long-prompts", type=int, default=8, help="videos ten times as long")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="seeds side by side, one core each"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/ablation")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--report", action="store_true", help="only write the report")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    return arguments


if __name__ == "__main__":
    command.run(main)
