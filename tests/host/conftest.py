"""Fixtures for tests of the pack's nodes: run a prompt, and the files that loaders open."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hosting.graph import Prompt
from hosting.host import Host
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from causvid_core.media.video import read_frames, write_mp4
from causvid_core.mini import weights_path

from .prompts import DIT, LORA, Result, facts, node


@pytest.fixture
def look(host: Host) -> Callable[[Prompt], Result]:
    """Runs a prompt and returns what its probe saw."""
    return lambda prompt: facts(host.run(prompt))


@pytest.fixture
def refusal(host: Host) -> Callable[[Prompt], str]:
    """Runs a prompt that must fail in text to video (or a given node), and returns the sentence."""

    def run(prompt: Prompt, node_id: str = "video") -> str:
        result = host.run(prompt)
        assert result.status == "error" and result.error_node == node_id, result.error
        return result.error.strip()

    return run


@pytest.fixture
def models(host: Host) -> Path:
    """The host's models folder, with the Mini's transformer and a LoRA for it."""
    folder = host.base / "models"
    dit = folder / "diffusion_models" / DIT
    if not dit.exists():
        dit.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(weights_path("dit"), dit)
    lora = folder / "loras" / LORA
    if not lora.exists():
        lora.parent.mkdir(parents=True, exist_ok=True)
        save_file(make_lora(load_file(dit)), lora)
    return folder


def make_lora(weights: dict[str, torch.Tensor], rank: int = 4) -> dict[str, torch.Tensor]:
    """A random LoRA on every matrix of the blocks, strong enough to be seen."""
    generator = torch.Generator().manual_seed(2)
    lora = {}
    for name, weight in weights.items():
        if not name.startswith("blocks.") or not name.endswith(".weight") or weight.ndim != 2:
            continue
        stem = f"diffusion_model.{name.removesuffix('.weight')}"
        down = torch.randn(rank, weight.shape[1], generator=generator) / weight.shape[1] ** 0.5
        up = torch.randn(weight.shape[0], rank, generator=generator)
        size = 2 * weight.float().std()
        lora |= {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up * size}
    return lora


@pytest.fixture
def video(host: Host) -> Any:
    """video(frames, fps) is a Load Video node of a file with these frames, and what is in it."""

    def load(frames: Tensor, fps: float = 16.0) -> tuple[dict[str, Any], Tensor]:
        folder = host.base / "input"
        folder.mkdir(exist_ok=True)
        name = f"clip_{len(frames)}_{fps:g}_{frames.shape[1]}.mp4"
        write_mp4(folder / name, frames, fps)
        seen = np.stack(list(read_frames(folder / name)))
        return node("LoadVideo", file=name), torch.from_numpy(seen).float() / 255

    return load


@pytest.fixture
def picture(host: Host) -> Any:
    """picture(frame) is a Load Image node of it."""

    def load(frame: Tensor, name: str) -> dict[str, Any]:
        folder: Path = host.base / "input"
        folder.mkdir(exist_ok=True)
        pixels = (frame * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / name)
        return node("LoadImage", image=name)

    return load
