"""Downloads into the host's model folders, with its progress bar and its Cancel."""

from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths

from ....causvid_core.model.checkpoints import DOWNLOADS, download
from ..messages import message
from ..notice import show


def download_file(name: str) -> Path:
    """Fetch an entry of `DOWNLOADS` into the folder of its kind, unless it is there.

    Raises CheckpointError in one sentence, and the host's interrupt when the artist cancels;
    the next call continues where this one stopped.
    """
    entry = DOWNLOADS[name]
    show(message("download.started", what=entry.repository.licence_note()))
    bar = comfy.utils.ProgressBar(1)

    def progress(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    path = download(name, _folder(entry.folder), progress)
    show(message("download.done", name=path.name, folder=path.parent))
    return path


def _folder(kind: str) -> Path:
    """The folder that carries the name of its kind, where the host searches several."""
    paths = [Path(path) for path in folder_paths.get_folder_paths(kind)]
    return next((path for path in paths if path.name == kind), paths[0])
