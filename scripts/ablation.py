"""CausVid's ablation on CausVid Mini: `python scripts/ablation.py --teacher teacher.safetensors`.

Trains every network of the table with several seeds, one process a core, measures them and puts
tables, curves and strips of samples into docs/distillation.md. What is trained or measured
already is kept, and a training that was stopped goes on. The teacher, its ODE pairs and the clips
are made as docs/training.md says.
"""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from hosting import command
from hosting.environment import ROOT


def main() -> int:
    arguments = parse_arguments()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    sys.path.insert(0, str(ROOT))
    from measuring import ablation

    names = arguments.only or list(ablation.TRAININGS)
    seeds = range(arguments.seeds)
    if not arguments.report:
        jobs = [
            job(arguments, name, seed) for seed in seeds for name in ablation.with_needed(names)
        ]
        jobs.append(job(arguments, ablation.TEACHER, 0))  # all seeds have the same one
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.processes, mp_context=spawn) as pool:
            start = partial(pool.submit, one_network)
            for home in ablation.as_ready(jobs, start, arguments.processes):
                print(f"measured {home}", flush=True)
    write_report(arguments, names)
    return 0


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


def one_network(chosen: object) -> Path:
    """Train and measure one network, on one thread."""
    import logging

    import torch
    from measuring.ablation import run

    torch.set_num_threads(1)
    logging.basicConfig(
        filename=chosen.folder / f"{chosen.name}_{chosen.seed}.log", level=logging.INFO, force=True
    )
    return run(chosen, ROOT / "configs")


def write_report(arguments: argparse.Namespace, names: list[str]) -> None:
    """Put what has been measured so far into the page; the speeds are measured now."""
    from measuring import ablation, ablation_report, report
    from PIL import Image

    from causvid_core.model.checkpoints import load_model

    results, pictures = {}, {}
    for name in ablation_report.LABELS:
        homes = [job(arguments, name, seed).home for seed in range(arguments.seeds)]
        done = [home for home in dict.fromkeys(homes) if (home / ablation.DONE).exists()]
        if done and (name in names or name == ablation.TEACHER):
            results[name] = [json.loads((home / ablation.DONE).read_text("utf-8")) for home in done]
            pictures[name] = Image.open(done[0] / "strip.png")
    speed = ablation.speed(load_model(str(arguments.teacher)), arguments.guidance)
    text = f"{ablation_report.table(results)}\n\n{ablation_report.speed_table(speed)}"
    marks = ablation_report.BEGIN, ablation_report.END
    report.write_between(arguments.out / "distillation.md", text, *marks)
    length = ablation.FRAMES * ablation.TENTHS
    curves = ablation_report.curves(results, length)
    curves.quantize(64).save(arguments.out / "distillation.png", optimize=True)
    strips = ablation_report.strips(pictures)
    strips.quantize(255).save(arguments.out / "distillation_samples.png", optimize=True)
    print(text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train and measure the ablation of CausVid.")
    parser.add_argument("--teacher", type=Path, required=True, help="the bidirectional one")
    parser.add_argument("--guidance", type=float, default=1.5, help="in 50 steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", help="a network by name; may be repeated")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--long-prompts", type=int, default=8)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/ablation")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--report", action="store_true", help="write what is measured already")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    return arguments


if __name__ == "__main__":
    command.run(main)
