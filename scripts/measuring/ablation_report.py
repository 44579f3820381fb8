"""Report of the ablation: Markdown tables, curves over length and a strip of every network."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from causvid_core.media.sheet import picture_sheet

from .figure import Panel, draw

BEGIN, END = "<!-- measured by scripts/ablation.py -->", "<!-- end of what was measured -->"
LABELS: Mapping[str, str] = {
    "teacher": "bidirectional teacher, 50 steps",
    "causal": "causal, 50 steps",
    "dmd": "4 steps: DMD without ODE init",
    "ode": "4 steps: ODE init only",
    "ode_dmd_causal": "4 steps: ODE, DMD, causal teacher",
    "ode_dmd": "4 steps: ODE, DMD, bidirectional teacher",
    "self_rollout": "the same, then self-rollout",
}
Figures = Mapping[str, Any]

# Title, key, factor, decimals: first for the trained length, then for videos ten times as long.
COLUMNS = (
    ("shape %", "shape", 100, 1),
    ("colour %", "colour", 100, 1),
    ("direction %", "direction", 100, 1),
    ("frame quality", "overlap", 1, 3),
    ("jitter, px", "jitter_px", 1, 2),
    ("direction %, long", "long_direction", 100, 1),
    ("colour drift %", "colour_drift", 100, 1),
    ("size drift %", "size_drift", 100, 1),
    ("worst size drift %", "worst_size_drift", 100, 1),
)
PANELS = {
    "shape wrong, %": "shape",
    "colour wrong, %": "colour",
    "direction wrong, %": "direction",
    "missing from frame quality, %": "overlap",
}


def table(results: Mapping[str, Sequence[Figures]]) -> str:
    """One row per network: mean and standard deviation over its seeds."""
    lines = [
        f"| | seeds | {' | '.join(title for title, *_ in COLUMNS)} |",
        f"| --- | ---: |{' ---: |' * len(COLUMNS)}",
    ]
    for name, measured in results.items():
        seeds = [_with_long_direction(figures) for figures in measured]
        cells = [
            _cell([factor * f[key] for f in seeds if key in f], places)
            for _, key, factor, places in COLUMNS
        ]
        lines.append(f"| {LABELS[name]} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def speed_table(speed: Mapping[str, Mapping[str, float]]) -> str:
    """First frame and frame rate of teacher and student, and their ratios."""
    teacher, student = speed["teacher"], speed["student"]
    lines = ["| | first frame, s | frames a second |", "| --- | ---: | ---: |"]
    for name, one in (("teacher, 50 steps with guidance", teacher), ("student, 4 steps", student)):
        lines.append(f"| {name} | {one['first_frame_s']:.2f} | {one['fps']:.1f} |")
    sooner = teacher["first_frame_s"] / student["first_frame_s"]
    lines.append(
        f"| ratio | {sooner:.0f}x sooner | {student['fps'] / teacher['fps']:.0f}x faster |"
    )
    return "\n".join(lines)


def curves(results: Mapping[str, Sequence[Figures]], latent_frames: int) -> Image.Image:
    """Errors in every tenth of long videos, as means over the seeds."""
    long = {name: seeds for name, seeds in results.items() if seeds and "by_tenth" in seeds[0]}
    panels = [
        Panel(title, {LABELS[n]: _missing(seeds, key) for n, seeds in long.items()}, most=20)
        for title, key in PANELS.items()
    ]
    marks, x_label = (latent_frames // 10,), "latent frames (line: as trained)"
    return draw(panels, latent_frames, marks, x_label, columns=2)


def strips(pictures: Mapping[str, Image.Image]) -> Image.Image:
    """The strip of every network, with its name below."""
    images = list(pictures.values())
    labels = [LABELS[name] for name in pictures]
    return picture_sheet(images, labels, columns=2, cell_px=images[0].width)


def _with_long_direction(figures: Figures) -> Figures:
    if "by_tenth" not in figures:
        return figures
    return {**figures, "long_direction": statistics.mean(figures["by_tenth"]["direction"])}


def _cell(values: Sequence[float], places: int) -> str:
    if not values:
        return ""
    mean = f"{statistics.mean(values):.{places}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{places}f}"


def _missing(seeds: Sequence[Figures], key: str) -> list[float]:
    """The difference from 100 % in every tenth of long videos."""
    series = [figures["by_tenth"][key] for figures in seeds]
    return [100 * (1 - statistics.mean(values)) for values in zip(*series, strict=True)]
