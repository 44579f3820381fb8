"""Measures speed and memory: `python scripts/bench.py`. One table, and one file of JSON.

It measures the engine with its full cache, in float32 and bfloat16, and with a window; the same
clip without a cache; and in ComfyUI, its own autoregressive sampler against this pack's nodes.
Speed is also given as a share of the rate of large matrix products on the same machine. Everything
is set up in the folder that scripts/demo.py uses. Run nothing else at the same time.
"""

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hosting  # noqa: F401  (first of all: it checks the version of Python)
from benchmarks.child import MeasuringFailed, measure
from benchmarks.sizes import FRAMES_PER_BLOCK, SIZES, Size
from benchmarks.table import render
from hosting import command
from hosting.environment import ROOT, Environment
from hosting.pins import NEWEST

# name, dtype, and further arguments of `benchmarks.engine.clip`
CPU_CLIPS = (
    ("engine, float32", "float32", {}),
    ("engine, bfloat16", "bfloat16", {}),
    ("engine, window, float32", "float32", {"windowed": True}),
    ("without cache, float32", "float32", {"cached": False}),
)
CUDA_CLIPS = (
    ("engine, bfloat16", "bfloat16", {}),
    ("engine with decoding, bfloat16", "bfloat16", {"decode": True}),
    ("engine, window, bfloat16", "bfloat16", {"windowed": True}),
    ("without cache, bfloat16", "bfloat16", {"cached": False}),
)
REPEATED = 2  # so many of the clips run in every round, because they are compared
IN_COMFYUI = {"theirs": "ComfyUI's own sampler, float32", "ours": "our nodes, float32"}
CHAINS = {
    "handed_over": "chain of three nodes, float32",
    "through_cpu": "chain, its cache through CPU memory",
    "recomputed": "chain, its cache recomputed",
}


def main() -> int:
    arguments = parse_arguments()
    environment = Environment(torch_index_url=arguments.torch_index_url)
    if arguments.python is None:
        environment.ensure([NEWEST] if arguments.comfyui else [])
    result = run(environment, arguments)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(f"\n{render(result)}\n\nWritten to {arguments.output}")
    return 0


def run(environment: Environment, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, one process after another; returns the combined result."""
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
        measured: dict[str, list[dict[str, Any]]] = {name: [] for name, _, _ in clips}
        for turn in range(arguments.rounds):
            for name, dtype, options in clips if turn == 0 else clips[:REPEATED]:
                clip = part(
                    f"Measuring {name}",
                    "engine",
                    job="clip",
                    dtype=dtype,
                    device=device,
                    weights=weights,
                    **options,
                )
                measured[name].append(clip | {"dtype": dtype})
        comfyui = None
        if arguments.comfyui:
            comfyui = part(
                "Measuring in ComfyUI",
                "comfyui",
                job="compare",
                weights=weights,
                home=str(environment.home),
                rounds=arguments.rounds,
            )
    return combine(size, measured, comfyui)


def combine(
    size_name: str, measured: dict[str, list[dict[str, Any]]], comfyui: dict[str, Any] | None
) -> dict[str, Any]:
    """The result of all measurements: rows, ratios, and what they are compared with."""
    size, one = SIZES[size_name], next(iter(measured.values()))[0]
    plain = [runs for name, runs in measured.items() if name.startswith("engine, ")]
    full = {runs[0]["dtype"]: runs for runs in plain if not runs[0]["windowed"]}
    rates = {
        dtype: statistics.median(run["product_rate"] for run in runs)
        for dtype, runs in full.items()
    }
    costs = {
        dtype: {"flop": runs[0]["flop"], "bytes": runs[0]["bytes"]} for dtype, runs in full.items()
    }
    rows = [clip_row(name, runs) for name, runs in measured.items()]
    result: dict[str, Any] = {
        "size_name": size_name,
        "size": asdict(size),
        "machine": {key: one[key] for key in ("device", "instructions", "threads", "torch")},
        "cost": costs,
        "products": rates,
        "runs": measured,
        "rows": rows,
        "ratios": ratios(measured, size, comfyui),
    }
    if comfyui is not None:
        result["comfyui"] = comfyui
        rate = costs["float32"]["flop"] / rates["float32"]
        rows += [
            comfyui_row(name, comfyui[key], comfyui[f"{key}_peak_bytes"], size, rate)
            for key, name in IN_COMFYUI.items()
        ]
        rows += [
            comfyui_row(name, comfyui["chains"][key], None, size, rate)
            for key, name in CHAINS.items()
        ]
    return result


def clip_row(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of the table: medians of the runs. Each run's share is of the rate in that run."""
    seconds = statistics.median(map(clip_seconds, runs))
    shares = [run["flop"] / clip_seconds(run) / run["product_rate"] for run in runs]
    by_block = zip(*(run["seconds_per_block"] for run in runs), strict=True)
    return {
        "name": name,
        "seconds": seconds,
        "blocks": len(runs[0]["seconds_per_block"]),
        "seconds_per_block": list(map(statistics.median, by_block)),
        "peak_bytes": max(run["peak_bytes"] for run in runs),
        "fps": runs[0]["px_frames"] / seconds,
        "share": None if runs[0]["decoded"] else statistics.median(shares),
    }


def clip_seconds(run: dict[str, Any]) -> float:
    """Seconds of a whole clip."""
    return sum(run["seconds_per_block"])


def comfyui_row(
    name: str, runs: list[float], peak_bytes: int | None, size: Size, least_seconds: float
) -> dict[str, Any]:
    """A row of nodes in ComfyUI. least_seconds: what the clip would take at the full rate."""
    seconds = statistics.median(runs)
    return {
        "name": name,
        "seconds": seconds,
        "blocks": size.latent_frames // FRAMES_PER_BLOCK,
        "seconds_per_block": [],
        "peak_bytes": peak_bytes,
        "fps": size.px_frames / seconds,
        "share": least_seconds / seconds,
    }


def ratios(
    measured: dict[str, list[dict[str, Any]]], size: Size, comfyui: dict[str, Any] | None
) -> dict[str, float]:
    """The ratios that the project sets itself as goals, medians over neighbouring runs."""
    found: dict[str, float] = {}

    def compare(label: str, slow: str, fast: str) -> None:
        if slow in measured and fast in measured:
            pairs = zip(measured[slow], measured[fast], strict=False)
            found[label] = statistics.median(clip_seconds(a) / clip_seconds(b) for a, b in pairs)

    if comfyui is not None:
        found["ComfyUI's own sampler / our nodes"] = comfyui["median_ratio"]
        live = comfyui["live"]
        pairs = zip(live["sent"], live["not_sent"], strict=True)
        found["our nodes, live frames sent / not sent"] = statistics.median(a / b for a, b in pairs)
        chains = comfyui["chains"]
        for key, name in CHAINS.items():
            pairs = zip(chains[key], chains["one_node"], strict=True)
            found[f"{name} / one node"] = statistics.median(a / b for a, b in pairs)
    compare("float32 / bfloat16", "engine, float32", "engine, bfloat16")
    for dtype in ("float32", "bfloat16"):
        compare(f"without cache / engine, {dtype}", f"without cache, {dtype}", f"engine, {dtype}")
    for runs in measured.values():
        if runs[0]["windowed"]:
            full = runs[0]["seconds_per_block"][size.window // FRAMES_PER_BLOCK :]
            found[f"last block / first with a full window, {runs[0]['dtype']}"] = full[-1] / full[0]
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure speed and memory.")
    parser.add_argument("--quick", action="store_true", help="a toy size, to check the script")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: every core")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs (default: 3)")
    parser.add_argument("--no-comfyui", dest="comfyui", action="store_false")
    parser.add_argument(
        "--python", type=Path, help="an interpreter with torch, instead of setting one up"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "bench.json")
    command.add_torch_index(parser)
    arguments = parser.parse_args()
    arguments.size = "full" if arguments.device == "cpu" else "1.3B"
    if arguments.quick:
        arguments.size = "quick"
    if arguments.device == "cuda" or arguments.python is not None:
        arguments.comfyui = False
    return arguments


if __name__ == "__main__":
    command.run(main, MeasuringFailed)
