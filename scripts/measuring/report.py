"""What long runs showed, as a table in markdown and as a figure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .figure import Panel, draw
from .rolling import PLACES, TRAITS, Run
from .steadiness import Drift, deviation

MIB = 1024**2
BEGIN, END = "<!-- measured by scripts/long_run.py -->", "<!-- end of what was measured -->"
TARGET = 5  # per cent


def tables(runs: Mapping[str, Run]) -> str:
    """Drift, cost, and jumps at the positions where other systems collapsed."""
    return "\n\n".join((_drift_table(runs), _cost_table(runs), _collapse_table(runs)))


def write_between(path: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace the text between two marks of a Markdown file, or append marks and text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = path.read_text("utf-8") if path.exists() else "# Measured\n"
    before, found, rest = page.partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    path.write_text(f"{before.rstrip()}\n\n{begin}\n\n{text}\n\n{end}{after}", "utf-8")


def figure(runs: Mapping[str, Run]) -> Image.Image:
    """Curves of the distance from the first tenth, of time and of memory."""
    by_name = {name: _deviations(run) for name, run in runs.items()}
    panels = [
        Panel(
            f"{part}: distance from the first tenth, %",
            {name: (100 * curves[:, index]).tolist() for name, curves in by_name.items()},
            most=2 * TARGET,
            level=TARGET,
        )
        for index, part in enumerate(Drift._fields)
    ]
    times = {n: [1000 * value for value in _smooth(run.seconds)] for n, run in runs.items()}
    memory = {name: [value / MIB for value in run.held] for name, run in runs.items()}
    panels += [Panel("time per block, CPU ms", times), Panel("memory of the process, MiB", memory)]
    frames = max(len(run.seconds) * run.recipe.frames_per_block for run in runs.values())
    marks = "lines at " + ", ".join(map(str, PLACES[:-1])) + f" and {PLACES[-1]}"
    return draw(panels, frames, PLACES, f"latent frames ({marks}; dashed: the target)")


def _drift_table(runs: Mapping[str, Run]) -> str:
    lines = [
        f"| drift, mean (worst) | {' | '.join(Drift._fields)} "
        f"| {', '.join(TRAITS)} right at the end |",
        f"| --- |{' ---: |' * (len(Drift._fields) + 1)}",
    ]
    for name, run in runs.items():
        cells = []
        for part in Drift._fields:
            values = [100 * getattr(one, part) for one in run.drifts]
            cells.append(f"{statistics.mean(values):.1f} % ({max(values):.1f} %)")
        right = ", ".join(f"{run.right[trait]:.0%}".replace("%", " %") for trait in TRAITS)
        lines.append(f"| {name} | {' | '.join(cells)} | {right} |")
    return "\n".join(lines)


def _cost_table(runs: Mapping[str, Run]) -> str:
    lines = [
        "| first and last tenth | CPU ms per block | ratio | memory, MiB "
        "| growth of history, MiB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, run in runs.items():
        count = max(1, len(run.seconds) // 10)
        early, late = (
            1000 * statistics.median(part) for part in (run.seconds[:count], run.seconds[-count:])
        )
        some = max(1, len(run.held) // 10)
        memory = [statistics.median(part) / MIB for part in (run.held[:some], run.held[-some:])]
        history = run.history * (1 - count / len(run.seconds)) / MIB
        lines.append(
            f"| {name} | {early:.0f} and {late:.0f} | {late / early:.2f} "
            f"| {memory[0]:.0f} and {memory[1]:.0f} | {history:.0f} |"
        )
    return "\n".join(lines)


def _collapse_table(runs: Mapping[str, Run]) -> str:
    places = " | ".join(f"jump at {place}" for place in PLACES)
    lines = [
        f"| largest jump of a measure | {places} | median | largest anywhere | shape lost |",
        f"| --- |{' ---: |' * (len(PLACES) + 3)}",
    ]
    for name, run in runs.items():
        jumps = run.jumps[~run.jumps.isnan()]
        values = [run.jump_at(place) for place in PLACES]
        values += [float(jumps.median()), float(jumps.max())] if len(jumps) else [None, None]
        cells = ["" if value is None else f"{100 * value:.1f} %" for value in values]
        lost = [frame for frame in run.lost if frame is not None]
        cells.append(f"{len(lost)} videos, first at {min(lost)}" if lost else "never")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _deviations(run: Run) -> Tensor:
    """[blocks, 4], mean over the videos."""
    return torch.stack([deviation(video) for video in run.series.unbind(1)]).mean(dim=0)


def _smooth(values: list[float]) -> list[float]:
    """Running medians, so that a pause of the machine does not show as a slow block."""
    reach = max(2, math.ceil(len(values) / 100))
    return [
        statistics.median(values[max(0, i - reach) : i + reach + 1]) for i in range(len(values))
    ]
