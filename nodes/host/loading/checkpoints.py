"""Checkpoint files, found and read through the core's reader into MODELs of the host.

They lie in ComfyUI's `diffusion_models`, original files in `models/causvid`, too.
"""

from pathlib import Path

import folder_paths
from comfy.model_patcher import ModelPatcher

from ....causvid_core.model.checkpoints import host_metadata, open_checkpoint
from ....causvid_core.stream import preset_of
from ..messages import message
from ..notice import show
from .models import load_model, load_model_file, tag

FOLDER = "causvid"
SEARCHED = ("diffusion_models", FOLDER)


def register_folder() -> None:
    """Make `models/causvid` known to the host, and keep paths that its user has configured."""
    own = str(Path(folder_paths.models_dir) / FOLDER)
    paths, _ = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    if own not in paths:
        paths = [*paths, own]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, folder_paths.supported_pt_extensions)


def checkpoint_names() -> list[str]:
    """Files that a loader can offer, by their path below either folder."""
    names = (name for folder in SEARCHED for name in folder_paths.get_filename_list(folder))
    return list(dict.fromkeys(names))


def checkpoint_path(name: str) -> Path:
    """The file behind a name of `checkpoint_names`; FileNotFoundError says where it was sought."""
    for folder in SEARCHED:
        path = folder_paths.get_full_path(folder, name)
        if path is not None:
            return Path(path)
    folders = [p for folder in SEARCHED for p in folder_paths.get_folder_paths(folder)]
    raise FileNotFoundError(
        message("checkpoint.missing", name=repr(name), folders=", ".join(folders))
    )


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
