"""Fixtures for tests of the pack's nodes: run a prompt, and the files that loaders open."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hosting.graph import Prompt
from hosting.host import Host
from safetensors.torch import load_file, save_file

from causvid_core.mini import weights_path

from .prompts import DIT, LORA, Result, facts


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
