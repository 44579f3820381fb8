"""Where checkpoints lie: ComfyUI's `diffusion_models`, and `models/causvid` for original files."""

from pathlib import Path

import folder_paths

from ..messages import message

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
