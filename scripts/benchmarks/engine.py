"""Measures the engine alone. Run by `child.measure`; needs torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import causvid_core as cv
from causvid_core.media.vae import WanVAE
from causvid_core.media.wan_stream import WanDecoder
from causvid_core.model.checkpoints import convert

from .child import PeakMemory, answer
from .counting import clip_cost
from .sizes import FRAMES_PER_BLOCK, SHIFT, SIZES, TIME_SCALE, TIMESTEPS, Size

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PRODUCT_SECONDS = 0.5


def weights(size: str, target: str) -> dict[str, Any]:
    """Write random weights of a size to a file that ComfyUI's loader opens."""
    torch.manual_seed(0)
    convert(random_model(SIZES[size], torch.float32, "cpu").state_dict(), Path(target))
    return {"bytes": Path(target).stat().st_size}


def product_rate(side: int, dtype: torch.dtype, device: str) -> float:
    """The best rate of products of large square matrices, in operations per second."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best, stop = float("inf"), time.perf_counter() + PRODUCT_SECONDS
    while time.perf_counter() < stop:
        started = time.perf_counter()
        torch.mm(a, b)
        _finish(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


@torch.inference_mode()
def clip(
    size: str,
    dtype: str,
    device: str,
    weights: str | None = None,
    windowed: bool = False,
    cached: bool = True,
    decode: bool = False,
) -> dict[str, Any]:
    """Make a clip, after a short one as a warm-up: seconds of every block, peak memory and cost.

    weights: a file, or None for random ones on the device. cached: use the engine's rollout;
    otherwise recompute everything in every step. decode: also decode every block. The rate of
    large products is measured before and after the clip, because it varies on most machines.
    """
    sizes, compute = SIZES[size], DTYPES[dtype]
    recipe = make_recipe(sizes, windowed)
    latent_frames = sizes.windowed_latent_frames if windowed else sizes.latent_frames
    with _peak_memory(device) as peak:
        model = cv.load_model(weights, dtype=compute, device=device) if weights else None
        model = model or random_model(sizes, compute, device)
        decoder = WanDecoder(WanVAE(sizes.vae_dim).to(device, compute)) if decode else None
        make = cached_blocks if cached else recomputed_blocks
        _timed(make(model, recipe, sizes, FRAMES_PER_BLOCK), device, decoder)
        rates = [product_rate(sizes.products, compute, device)]
        seconds = _timed(make(model, recipe, sizes, latent_frames), device, decoder)
    rates.append(product_rate(sizes.products, compute, device))
    cost = clip_cost(
        model.config,
        recipe,
        sizes.height,
        sizes.width,
        latent_frames,
        sizes.prompt_tokens + 1,
        compute.itemsize,
    )
    return {
        "seconds_per_block": seconds,
        "peak_bytes": peak.bytes,
        "decoded": decode,
        "windowed": windowed,
        "flop": cost.flop,
        "bytes": cost.bytes,
        "product_rate": sum(rates) / len(rates),
        "px_frames": (latent_frames - 1) * TIME_SCALE + 1,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def make_recipe(size: Size, windowed: bool) -> cv.Recipe:
    """Self-Forcing's recipe, with or without a window."""
    return cv.Recipe(
        timesteps=TIMESTEPS,
        warp=True,
        shift=SHIFT,
        frames_per_block=FRAMES_PER_BLOCK,
        window=size.window if windowed else None,
        positions="relative" if windowed else "absolute",
    )


def random_model(size: Size, dtype: torch.dtype, device: str) -> cv.CausalWan:
    """A model whose flow is far from zero, so that no value vanishes or overflows."""
    config = cv.WanConfig(
        dim=size.dim,
        ffn_dim=size.ffn_dim,
        num_heads=size.num_heads,
        num_layers=size.num_layers,
        text_dim=size.text_dim,
        text_len=size.text_len,
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = cv.CausalWan(config)
            nn.init.normal_(model.head.head.weight, std=0.02)
    finally:
        torch.set_default_dtype(default)
    return model.requires_grad_(False)


def cached_blocks(
    model: cv.CausalWan, recipe: cv.Recipe, size: Size, latent_frames: int
) -> Iterator[Tensor]:
    """Latents of every block from the engine's rollout."""
    state = cv.start(recipe, model, height=size.height, width=size.width, seed=1)
    blocks = latent_frames // FRAMES_PER_BLOCK
    for block in cv.rollout(model, state, _context(size), blocks):
        yield block.latents


def recomputed_blocks(
    model: cv.CausalWan, recipe: cv.Recipe, size: Size, latent_frames: int
) -> Iterator[Tensor]:
    """The same clip without a cache: every step computes all latent frames so far."""
    device = next(model.parameters()).device
    context = _context(size).to(device)
    schedule = recipe.schedule(0)
    done = torch.zeros(1, 16, 0, size.height, size.width, device=device)
    for first in range(0, latent_frames, FRAMES_PER_BLOCK):
        shape = (1, 16, FRAMES_PER_BLOCK, size.height, size.width)
        x0 = torch.zeros(shape, device=device)
        for timestep, sigma in zip(*schedule, strict=True):
            x = (1 - sigma) * x0 + sigma * torch.randn(shape, device=device)
            times = torch.zeros(1, first + FRAMES_PER_BLOCK, device=device)
            times[:, first:] = timestep
            flow = cv.forward_all(model, torch.cat((done, x), dim=2), times, context)
            x0 = x - sigma * flow[:, :, first:]
        done = torch.cat((done, x0), dim=2)
        yield x0


def _timed(blocks: Iterator[Tensor], device: str, decoder: WanDecoder | None) -> list[float]:
    """Seconds of every block, decoding included where there is a decoder.

    Raises ArithmeticError when a block is not finite.
    """
    if decoder is not None:
        decoder.reset()
        dtype = next(decoder.vae.parameters()).dtype
    seconds, started = [], time.perf_counter()
    for latents in blocks:
        frames = decoder.decode(latents.to(dtype)) if decoder is not None else latents
        _finish(device)
        now = time.perf_counter()
        seconds.append(now - started)
        if not frames.isfinite().all():
            raise ArithmeticError(f"block {len(seconds)} is not finite")
        started = time.perf_counter()
    return seconds


def _context(size: Size) -> Tensor:
    """A random prompt [1, prompt_tokens, text_dim]."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(1, size.prompt_tokens, size.text_dim, generator=generator)


class _CudaPeakMemory:
    """`PeakMemory` of the device."""

    def __enter__(self) -> _CudaPeakMemory:
        torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the statistics to be read."""

    @property
    def bytes(self) -> int:
        return torch.cuda.max_memory_allocated()


def _peak_memory(device: str) -> PeakMemory | _CudaPeakMemory:
    return _CudaPeakMemory() if device == "cuda" else PeakMemory()


def _finish(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    answer({"weights": weights, "clip": clip})
