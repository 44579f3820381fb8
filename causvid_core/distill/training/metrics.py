"""Figures of a run: lines on the terminal, a CSV file, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...storage.atomic import replacing

log = logging.getLogger("causvid")


class Metrics:
    """Averages over the steps between two lines; a context manager for the first process.

    Rows after `first_step` are left from an interrupted run and removed.
    """

    def __init__(
        self, folder: Path, first_step: int, steps: int, every: int, tensorboard: bool
    ) -> None:
        self._path, self._steps, self._every = folder / "metrics.csv", steps, every
        self._rows = [row for row in _read(self._path) if int(row["step"]) <= first_step]
        self._sums: dict[str, list[float]] = {}
        self._first, self._started = first_step, time.monotonic()
        self._writer = _tensorboard(folder, first_step) if tensorboard else None
        self._write()

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, done: int, figures: Mapping[str, float]) -> None:
        """Add the figures of a step; `done` counts the steps, this one included."""
        for name, value in figures.items():
            self._sums.setdefault(name, []).append(value)
        if done % self._every and done != self._steps:
            return
        means = {name: sum(values) / len(values) for name, values in self._sums.items() if values}
        self._sums = {name: [] for name in self._sums}  # names keep their order
        seconds = (time.monotonic() - self._started) / (done - self._first)
        left = timedelta(seconds=round(seconds * (self._steps - done)))
        shown = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        log.info(
            "step %d of %d  %s  %.3g s a step, %s left", done, self._steps, shown, seconds, left
        )
        row = {"step": done, "seconds_per_step": f"{seconds:.4g}"}
        row |= {name: f"{value:.7g}" for name, value in means.items()}
        self._rows.append(row)
        self._write()
        if self._writer is not None:
            for name, value in (means | {"seconds_per_step": seconds}).items():
                self._writer.add_scalar(name, value, done)

    def picture(self, name: str, pixels: Any, done: int) -> None:
        """Show a picture, uint8 [H, W, 3], in TensorBoard."""
        if self._writer is not None:
            self._writer.add_image(name, pixels, done, dataformats="HWC")

    def _write(self) -> None:
        """Write all rows; a figure that comes late adds a column."""
        if not self._rows and not self._path.exists():
            return
        columns = dict.fromkeys(name for row in self._rows for name in row)
        with replacing(self._path) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns))
            if self._rows:
                writer.writeheader()
                writer.writerows(self._rows)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def _tensorboard(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("no TensorBoard here (pip install tensorboard); metrics.csv has all figures")
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
