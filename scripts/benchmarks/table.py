"""The results of scripts/bench.py as text."""

from typing import Any

from .sizes import FRAMES_PER_BLOCK, TIMESTEPS

MIB = 1024**2
HEADINGS = ("", "s/clip", "s/block", "first", "last", "peak MiB", "FPS", "of the rate")


def render(result: dict[str, Any]) -> str:
    """The table, and below it the ratios."""
    cells = [HEADINGS, *map(_cells, result["rows"])]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([_about(result), "", *lines, "", *_notes(result)])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    blocks = row["seconds_per_block"]
    numbers = [row["seconds"], row["seconds"] / row["blocks"]]
    numbers += [blocks[0], blocks[-1]] if blocks else []
    texts = [f"{number:.3f}" for number in numbers] + [""] * (4 - len(numbers))
    return (
        row["name"],
        *texts,
        "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / MIB:.0f}",
        f"{row['fps']:.2f}",
        "" if row["share"] is None else f"{row['share']:.0%}",
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    first, *others = (
        text.ljust(width) if column == 0 else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others])


def _about(result: dict[str, Any]) -> str:
    machine, cost = result["machine"], result["cost"]
    rates = ", ".join(
        f"{dtype} {rate / 1e9:.0f} GFLOP/s" for dtype, rate in result["products"].items()
    )
    costs = ", ".join(
        f"{dtype} {c['flop'] / 1e9:.1f} GFLOP, {c['bytes'] / 1e9:.2f} GB"
        for dtype, c in cost.items()
    )
    return "\n".join(
        (
            f"Machine: {machine['device']}, {machine['instructions']}, threads: "
            f"{machine['threads']}, torch {machine['torch']}",
            _clip(result["size"]),
            f"Least cost of the clip: {costs}",
            f"Large matrix products: {rates}",
        )
    )


def _clip(size: dict[str, Any]) -> str:
    return (
        f"Model: dim {size['dim']}, {size['num_layers']} layers, feed-forward {size['ffn_dim']}. "
        f"Clip: latents of {size['height']}x{size['width']}, {size['latent_frames']} latent "
        f"frames in blocks of {FRAMES_PER_BLOCK}, {len(TIMESTEPS)} steps; window "
        f"{size['window']} over {size['windowed_latent_frames']}"
    )


def _notes(result: dict[str, Any]) -> list[str]:
    notes = []
    for name, ratio in result["ratios"].items():
        notes.append(f"{name}: {ratio:.2f}")
    if "comfyui" in result:
        rounds = ", ".join(f"{ratio:.2f}" for ratio in result["comfyui"]["ratios"])
        notes.append(f"rounds against ComfyUI's own sampler: {rounds}")
    return notes
