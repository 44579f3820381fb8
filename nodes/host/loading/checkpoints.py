"""Checkpoint files through the core's reader into MODELs of the host."""

from pathlib import Path

from comfy.model_patcher import ModelPatcher

from ....causvid_core.model.checkpoints import host_metadata, open_checkpoint
from ....causvid_core.stream import preset_of
from ..messages import message
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
    values = {
        "name": path.name,
        "layers": checkpoint.config.num_layers,
        "width": checkpoint.config.dim,
    }
    if recipe is None:
        show(message("checkpoint.unknown", **values))
        return model
    show(message("checkpoint.loaded", recipe=recipe, **values))
    return tag(model, recipe)
