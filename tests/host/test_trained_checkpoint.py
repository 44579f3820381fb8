"""A run's export in a real host: its own loader, and ours, make the same video of it."""

from pathlib import Path
from typing import Any

import torch
from hosting.host import Host
from safetensors.torch import load_file

from causvid_core.distill.training.export import export
from causvid_core.distill.training.ranks import joined
from causvid_core.distill.training.run import train
from causvid_core.distill.training.settings import Experiment
from causvid_core.distill.training.tables import read_table
from causvid_core.hashing import content_hash
from causvid_core.storage.shards import ShardWriter

from .prompts import mini_prompt, node, recipe_node

PROMPT = "a large red circle moving right over a navy gradient background"
NAME = "trained.safetensors"


def trained(folder: Path) -> Path:
    """Two steps of a small transformer, which the host takes for a Wan by its shapes."""
    with ShardWriter(folder / "clips", "clips") as writer:
        for number in range(2):
            latents = torch.randn(16, 6, 8, 8, generator=torch.Generator().manual_seed(number))
            writer.add(content_hash(number), PROMPT, {"latents": latents})
    shape = {"dim": 128, "ffn_dim": 128, "num_heads": 1, "num_layers": 2}
    settings = {
        "stage": "flow_matching",
        "steps": 2,
        "run": {"folder": str(folder / "run"), "tensorboard": False},
        "model": {"shape": shape, "recipe": "causvid-mini"},
        "data": {
            "kind": "clips",
            "folder": str(folder / "clips"),
            "texts": "mini",
            "latent_frames": 6,
            "latent_height": 8,
            "latent_width": 8,
        },
        "batch": {"size": 2, "per_rank": 2},
        "optimizer": {"lr": 1e-2},
        "ema": {"decay": 0.5},
    }
    with joined("cpu") as ranks:
        train(read_table(Experiment, settings, "test"), ranks)
    return export(folder / "run", folder / NAME)


def test_an_exported_run_is_a_checkpoint_of_the_host(
    host: Host, models: Path, look: Any, tmp_path: Path
) -> None:
    path = trained(tmp_path)
    for folder in ("diffusion_models", "causvid"):
        target = models / folder / NAME
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    host.client.object_info()  # lists the folders again
    seen = []
    for loader in (
        node("UNETLoader", unet_name=NAME, weight_dtype="default"),
        node("CausVid_LoadCheckpoint", checkpoint=NAME, weight_dtype="default", sampled_by="auto"),
    ):
        prompt = mini_prompt(model=["loader", 0], recipe=["recipe", 0], seed=3)
        seen.append(look(prompt | {"loader": loader, "recipe": recipe_node()}))
    assert seen[0]["finite"] and seen[0]["digest"] == seen[1]["digest"]
    assert load_file(path)["blocks.0.ffn.0.weight"].dtype == torch.bfloat16
