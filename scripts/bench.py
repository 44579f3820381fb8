"""Measures speed and memory: `python scripts/bench.py`. One table, and one file of JSON.

The engine with full cache and with a window, in float32 and bfloat16; the same clip without a
cache; in ComfyUI, its own autoregressive sampler against this pack's nodes. Speed is also given
as a share of the rate of large matrix products on the same machine. Everything is set up in the
folder that scripts/demo.py uses. Nothing else should be running.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

if sys.version_info < (3, 10):  # noqa: UP036  (says so instead of failing on newer syntax)
    sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] + ".")

from benchmarks.child import MeasuringFailed, measure
from benchmarks.sizes import FRAMES_PER_BLOCK, SIZES, Size
from benchmarks.table import render
from hosting.environment import ROOT, Environment, SetupError
from hosting.pins import NEWEST

# name, dtype, and what is asked of `benchmarks.engine.clip`
CPU_CLIPS = (
    ("engine, float32", "float32", {}),
    ("engine, bfloat16", "bfloat16", {}),
    ("engine, window, float32", "float32", {"windowed": True}),
    ("engine, window, bfloat16", "bfloat16", {"windowed": True}),
    ("without cache, float32", "float32", {"cached": False}),
)
CUDA_CLIPS = (
    ("engine, bfloat16", "bfloat16", {}),
    ("engine with decoding, bfloat16", "bfloat16", {"decode": True}),
    ("engine, window, bfloat16", "bfloat16", {"windowed": True}),
    ("without cache, bfloat16", "bfloat16", {"cached": False}),
)
IN_COMFYUI = {"theirs": "ComfyUI's own sampler, float32", "ours": "our nodes, float32"}


def main() -> int:
    arguments = parse_arguments()
    environment = Environment(torch_index_url=arguments.torch_index_url)
    try:
        if arguments.python is None:
            environment.ensure([NEWEST] if arguments.comfyui else [])
        result = run(environment, arguments)
    except (SetupError, MeasuringFailed) as error:
        print(error, file=sys.stderr)
        return 1
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(f"\n{render(result)}\n\nWritten to {arguments.output}")
    return 0


def run(environment: Environment, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures everything, one process after the other, and puts it together."""
    size, device, threads = arguments.size, arguments.device, arguments.threads
    clips = CUDA_CLIPS if device == "cuda" else CPU_CLIPS
    python = arguments.python or environment.python

    def part(label: str, module: str, **values: Any) -> dict[str, Any]:
        print(label, flush=True)
        return measure(python, module, threads, size=size, **values)

    with tempfile.TemporaryDirectory() as folder:
        weights = None
        if device == "cpu":
            weights = str(Path(folder) / "benchmark.safetensors")
            part("Making random weights", "engine", job="weights", target=weights)
        products = {
            dtype: part(f"Measuring products, {dtype}", "engine",
                        job="products", dtype=dtype, device=device)["flop_per_second"]
            for dtype in dict.fromkeys(dtype for _, dtype, _ in clips)
        }  # fmt: skip
        measured = {
            name: part(f"Measuring {name}", "engine",
                       job="clip", dtype=dtype, device=device, weights=weights, **how)
            for name, dtype, how in clips
        }  # fmt: skip
        comfyui = None
        if arguments.comfyui:
            comfyui = part("Measuring in ComfyUI", "comfyui",
                           job="compare", weights=weights, home=str(environment.home),
                           rounds=arguments.rounds)  # fmt: skip
    return combine(size, measured, products, comfyui)


def combine(
    size_name: str,
    measured: dict[str, dict[str, Any]],
    products: dict[str, float],
    comfyui: dict[str, Any] | None,
) -> dict[str, Any]:
    """One result of all measurements: rows, ratios, and what they are measured against."""
    size = SIZES[size_name]
    dtypes = {name: name.rsplit(", ", 1)[1] for name in measured}
    rows = [clip_row(name, clip, products[dtypes[name]]) for name, clip in measured.items()]
    one = next(iter(measured.values()))
    costs = {
        dtypes[name]: {"flop": clip["flop"], "bytes": clip["bytes"]}
        for name, clip in measured.items()
        if name.startswith("engine, ") and "window" not in name
    }
    result: dict[str, Any] = {
        "size_name": size_name,
        "size": asdict(size),
        "machine": {key: one[key] for key in ("device", "instructions", "threads", "torch")},
        "cost": costs,
        "products": products,
        "rows": rows,
    }
    if comfyui is not None:
        result["comfyui"] = comfyui
        rows += [comfyui_row(key, comfyui, size, costs, products) for key in IN_COMFYUI]
    result["ratios"] = ratios(rows, size, comfyui)
    return result


def clip_row(name: str, clip: dict[str, Any], rate: float) -> dict[str, Any]:
    """A row of the table; `rate` is that of large matrix products."""
    seconds = sum(clip["seconds_per_block"])
    return {
        "name": name,
        "seconds": seconds,
        "blocks": len(clip["seconds_per_block"]),
        "seconds_per_block": clip["seconds_per_block"],
        "peak_bytes": clip["peak_bytes"],
        "fps": clip["px_frames"] / seconds,
        "share": None if clip["decoded"] else clip["flop"] / seconds / rate,
    }


def comfyui_row(
    key: str,
    comfyui: dict[str, Any],
    size: Size,
    costs: dict[str, dict[str, int]],
    products: dict[str, float],
) -> dict[str, Any]:
    """The row of one of the two samplers, with its median time."""
    seconds = statistics.median(comfyui[key])
    return {
        "name": IN_COMFYUI[key],
        "seconds": seconds,
        "blocks": size.latent_frames // FRAMES_PER_BLOCK,
        "seconds_per_block": [],
        "peak_bytes": comfyui[f"{key}_peak_bytes"],
        "fps": size.px_frames / seconds,
        "share": costs["float32"]["flop"] / seconds / products["float32"],
    }


def ratios(
    rows: list[dict[str, Any]], size: Size, comfyui: dict[str, Any] | None
) -> dict[str, float]:
    """What was set out to be reached, as numbers."""
    seconds = {row["name"]: row["seconds"] for row in rows}
    found: dict[str, float] = {}
    if comfyui is not None:
        found["ComfyUI's own sampler / our nodes"] = comfyui["median_ratio"]
    if {"engine, float32", "engine, bfloat16"} <= set(seconds):
        found["float32 / bfloat16"] = seconds["engine, float32"] / seconds["engine, bfloat16"]
    for dtype in ("float32", "bfloat16"):
        if f"without cache, {dtype}" in seconds:
            found["without cache / engine"] = (
                seconds[f"without cache, {dtype}"] / seconds[f"engine, {dtype}"]
            )
    for row in rows:
        if "window" in row["name"]:
            name = f"last block / first with a full window ({row['name'].rsplit(', ', 1)[1]})"
            full = row["seconds_per_block"][size.window // FRAMES_PER_BLOCK :]
            found[name] = full[-1] / full[0]
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure speed and memory.")
    parser.add_argument("--quick", action="store_true", help="a toy size, to see that it works")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: every core")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs in ComfyUI")
    parser.add_argument("--no-comfyui", dest="comfyui", action="store_false")
    parser.add_argument(
        "--python", type=Path, help="an interpreter with torch, instead of setting one up"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "bench.json")
    parser.add_argument(
        "--torch-index-url", help="a further package index for torch, e.g. one with smaller builds"
    )
    arguments = parser.parse_args()
    arguments.size = "full" if arguments.device == "cpu" else "1.3B"
    if arguments.quick:
        arguments.size = "quick"
    if arguments.device == "cuda" or arguments.python is not None:
        arguments.comfyui = False
    return arguments


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
