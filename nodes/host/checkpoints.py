"""Checkpoint files through the core's reader into MODELs of the host."""

from pathlib import Path

from comfy.model_patcher import ModelPatcher

from ...causvid_core.model.checkpoints import Checkpoint, host_metadata, open_checkpoint
from .models import load_model, load_model_file, tag
from .notice import show

# Parts of a file's name or repository, most telling first, and the preset that they stand for.
TRACES = {
    "warp_4step": "causvid-4step",
    "causvid-4step": "causvid-4step",
    "framewise-1step": "causal-forcing++-1step",
    "framewise-2step": "causal-forcing++-2step",
    "causal-forcing++-1step": "causal-forcing++-1step",
    "causal-forcing++-2step": "causal-forcing++-2step",
    "forcing-framewise": "causal-forcing-framewise",
    "forcing_framewise": "causal-forcing-framewise",
    "framewise/causal": "causal-forcing-framewise",
    "causal-forcing": "causal-forcing",
    "causal_forcing": "causal-forcing",
    "self-forcing": "self-forcing",
    "self_forcing": "self-forcing",
    "longlive": "longlive",
    "reward": "reward-forcing",
    "krea": "krea-realtime",
    "mini": "causvid-mini",
    "causvid": "causvid",
}


def load_checkpoint(path: Path, weight_dtype: str, recipe: str | None) -> ModelPatcher:
    """A MODEL from a file of any published layout, tagged with `recipe` or the one recognised.

    Raises CheckpointError saying what the file is when it is no plain Wan model.
    """
    checkpoint = open_checkpoint(path)
    recipe = recipe or recognise(checkpoint)
    if checkpoint.scaled:
        # fp8 with scales is the host's own format, which it keeps small; ours would unpack it.
        model = load_model_file(path, weight_dtype)
    else:
        weights = {name: tensor.load().detach() for name, tensor in checkpoint.tensors.items()}
        model = load_model(weights, host_metadata(checkpoint.config), weight_dtype)
    if recipe is None:
        show(f"{path.name} is no checkpoint known by name; choose its recipe in sampled_by.")
        return model
    size = f"{checkpoint.config.num_layers} layers of width {checkpoint.config.dim}"
    show(f"{path.name}: {size}, sampled by {recipe}")
    return tag(model, recipe)


def recognise(checkpoint: Checkpoint) -> str | None:
    """The preset of a published checkpoint, by its path, its notes and its repository."""
    repository = checkpoint.repository.repo if checkpoint.repository else ""
    for text in (Path(checkpoint.source).name, checkpoint.source, repository):
        text = text.replace("\\", "/").lower()
        found = next((preset for trace, preset in TRACES.items() if trace in text), None)
        if found is not None:
            return found
    return None
