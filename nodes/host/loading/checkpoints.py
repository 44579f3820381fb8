"""Checkpoint files through the core's reader into MODELs of the host."""

from pathlib import Path

from comfy.model_patcher import ModelPatcher

from ....causvid_core.model.checkpoints import host_metadata, open_checkpoint
from ....causvid_core.stream.recognise import preset_of
from ..notice import show
from .models import load_model, load_model_file, tag


def load_checkpoint(path: Path, weight_dtype: str, recipe: str | None) -> ModelPatcher:
    """A MODEL from a file of any published layout, tagged with `recipe` or the one recognised.

    Raises CheckpointError saying what the file is when it is no plain Wan model.
    """
    checkpoint = open_checkpoint(path)
    recipe = recipe or preset_of(checkpoint)
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
