"""Curves over a long video as small panels, drawn with matplotlib."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2563eb", "#059669", "#d97706", "#dc2626", "#7c3aed", "#0f172a")
INK, FAINT, GRID, MARK = "#111827", "#6b7280", "#e5e7eb", "#9ca3af"
PANEL_WIDTH, PANEL_HEIGHT, LEGEND_LINE = 3.8, 2.1, 0.2  # inches
DPI = 150
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "white",
    "font.size": 9,
    "grid.color": GRID,
    "legend.fontsize": 9,
    "legend.title_fontsize": 9,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "ytick.major.size": 0,
}


class Panel(NamedTuple):
    """One plot. curves: values by name, evenly spaced over the video; NaN is a gap.

    most: the top of the axis at least. level: where a dashed line is drawn, the target.
    """

    title: str
    curves: Mapping[str, Sequence[float]]
    most: float = 0.0
    level: float | None = None


def require_matplotlib() -> None:
    """End the program with advice where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise SystemExit('Figures need matplotlib: pip install ".[measure]"')


def draw(
    panels: Sequence[Panel], end: float, marks: Sequence[int], x_label: str, columns: int = 3
) -> Image.Image:
    """All panels with one legend; x runs from 0 to `end`, `marks` are thin vertical lines.

    Every panel has the curves of the first one, at most as many as there are COLOURS.
    """
    require_matplotlib()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure((columns * PANEL_WIDTH, rows * PANEL_HEIGHT), DPI, layout=layout)
        canvas = FigureCanvasAgg(figure)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for panel, ax in zip(panels, axes, strict=False):
            _draw_panel(ax, panel, end, marks)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        lines = _add_legend(figure, axes[0], x_label)
        figure.set_figheight(rows * PANEL_HEIGHT + (lines + 1) * LEGEND_LINE + 0.2)
        canvas.draw()
        size = canvas.get_width_height()
        return Image.frombuffer("RGBA", size, canvas.buffer_rgba()).convert("RGB")


def save(image: Image.Image, path: Path, colours: int = 64) -> None:
    """Write a PNG with a palette, a fraction of the size of one with full colours."""
    image.quantize(colours).save(path, optimize=True)


def _draw_panel(ax: Axes, panel: Panel, end: float, marks: Sequence[int]) -> None:
    for number, (name, curve) in enumerate(panel.curves.items()):
        x = [(index + 0.5) / len(curve) * end for index in range(len(curve))]
        ax.plot(
            x,
            curve,
            color=COLOURS[number],
            label=name,
            clip_on=False,  # or the axis would cover half of a curve at 0
            zorder=3 - number / len(COLOURS),  # the first curve on top
        )
    for mark in marks:
        if mark < end:
            ax.axvline(mark, color=MARK, linewidth=0.7, zorder=1)
    if panel.level is not None:
        ax.axhline(panel.level, color=INK, linewidth=1, linestyle="--", zorder=1.5)
    ax.set_title(panel.title)
    ax.locator_params(nbins=5, steps=(1, 2, 5, 10))
    ax.set_xlim(0, end)
    highest = max(panel.most, ax.dataLim.ymax, 1e-9)
    ax.set_ylim(0, ax.yaxis.get_major_locator().tick_values(0, highest)[-1])


def _add_legend(figure: Figure, ax: Axes, title: str) -> int:
    """Add a legend of the curves of `ax` below all panels, in as few lines as fit; their number."""
    handles, names = ax.get_legend_handles_labels()
    for columns in range(len(names), 0, -1):
        legend = figure.legend(
            handles, names, loc="outside lower center", ncols=columns, frameon=False, title=title
        )
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    legend.get_title().set_color(FAINT)
    return math.ceil(len(names) / columns)
