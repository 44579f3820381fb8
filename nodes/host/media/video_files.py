"""Video files in ComfyUI's output folder, written while a stream is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import comfy.model_management as management
import folder_paths
from comfy.cli_args import args
from comfy_api.latest import InputImpl, io, ui
from torch import Tensor

from ....causvid_core.media.film import Film
from ....causvid_core.media.wan_stream import WanDecoder
from ....causvid_core.media.writer import VideoFile, VideoWriter
from ....causvid_core.media.writer_codecs import CODECS, VideoSettings, checked_settings, is_deep
from ....causvid_core.storage.disk import DiskStore
from ....causvid_core.stream import DecoderMemory
from ....causvid_core.stream.geometry import SPACE_SCALE
from ....causvid_core.stream.rollout import Block
from ....causvid_core.stream.state import StreamState
from ..live.view import LiveView
from ..loading.sampling import Beside
from ..notice import show
from ..stream.stream_files import check_prefix, in_bytes
from .vae import StreamVAE

TEMPORARY = "causvid"  # below ComfyUI's temporary folder


class Target(NamedTuple):
    """A file to be written: its path, and as the host's interface names it."""

    path: Path
    filename: str
    subfolder: str


def target(prefix: str, codec: str, width: int, height: int) -> Target:
    """The host's next numbered name for a prefix. Raises ValueError in a sentence."""
    root = str(Path(folder_paths.get_output_directory()).resolve())
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        check_prefix(prefix), root, width, height
    )
    check_prefix(str(Path(subfolder, name)))  # links may be named by what % stands for
    filename = f"{name}_{counter:05}_{CODECS[codec].suffix}"
    return Target(Path(folder) / filename, filename, subfolder)


def workflow_tags(prompt: Any, extra: Any) -> dict[str, str]:
    """The graph that makes a file, as the host's own nodes write it into video files."""
    if args.disable_metadata:
        return {}
    values = (extra or {}) | ({} if prompt is None else {"prompt": prompt})
    return {name: json.dumps(value) for name, value in values.items()}


def temporary_store() -> DiskStore:
    """Keeps latents in ComfyUI's temporary folder, which it clears when it starts."""
    folder = Path(folder_paths.get_temp_directory()) / TEMPORARY
    folder.mkdir(parents=True, exist_ok=True)
    return DiskStore(folder)


class Recording:
    """Decodes a stream into a file while it is made; `listening` is for `make_longer`.

    first: the block that the file begins with. The file plays up to its last frame at any time,
    and stays when the run is interrupted; a run that starts again writes a new one.
    """

    def __init__(
        self,
        target: Target,
        settings: VideoSettings,
        vae: StreamVAE,
        tags: dict[str, str],
        first: int,
    ) -> None:
        self._target, self._settings, self._vae = target, checked_settings(settings), vae
        self._tags, self._first = tags, first
        self.px_frames = 0
        self.memory: DecoderMemory | None = None

    @contextmanager
    def listening(self, state: StreamState, view: LiveView) -> Iterator[Callable[[Block], None]]:
        """Opens the file, first writes what `state` has already, then every block."""
        deep = is_deep(self._settings.pixel_format)
        height, width = (SPACE_SCALE * side for side in (state.height, state.width))
        file = VideoFile(
            self._target.path, self._settings, width=width, height=height, metadata=self._tags
        )
        done = False
        try:
            with VideoWriter(file) as writer:
                shown: list[Callable[[Tensor], None]] = []

                def give(frames: Tensor) -> None:
                    writer.write(frames)
                    for show_frames in shown:
                        show_frames((frames >> 8).byte() if deep else frames)

                decoder = WanDecoder(self._vae.on_weights())
                with Film(decoder, self._vae.device, give, deep=deep) as film:
                    if state.blocks > self._first:
                        show(f"Decoding the {state.blocks - self._first} blocks there are already")
                    heed = management.throw_exception_if_processing_interrupted
                    film.begin(state, self._first, heed)
                    view.fps = self._settings.fps
                    shown.append(view.frames)
                    yield film.add
                self.memory = film.memory()
            done = True
        finally:
            self.px_frames = file.px_frames
            if not done and self.px_frames:
                show(f"{self.told()}, up to where it was stopped")

    def beside(self, height: int, width: int, source: Beside) -> Beside:
        """What is needed beside the MODEL, the source's models and memory included."""
        own = self._vae.beside_decoding(height, width)
        models = dict.fromkeys((*own.models, *source.models))
        return Beside(tuple(models), own.bytes + source.bytes)

    def told(self) -> str:
        """Where the file is, how long and how large, in words."""
        path, fps = self._target.path, self._settings.fps
        where = Path(self._target.subfolder, self._target.filename).as_posix()
        seconds = self.px_frames / fps
        size = in_bytes(path.stat().st_size)
        return f"{where} in the output folder: {self.px_frames} frames ({seconds:.1f} s), {size}"

    def video(self) -> Any:
        """The file as a VIDEO, read when it is used."""
        return InputImpl.VideoFromFile(str(self._target.path))

    def shown(self) -> Any:
        """The file in the node, as the host's Save Video shows it."""
        entry = ui.SavedResult(self._target.filename, self._target.subfolder, io.FolderType.output)
        return ui.PreviewVideo([entry])
