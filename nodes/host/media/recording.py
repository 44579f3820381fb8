"""A video file in ComfyUI's output folder, written while its stream is made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management as management
import folder_paths
from comfy_api.latest import InputImpl, io, ui
from torch import Tensor

from ....causvid_core import media
from ....causvid_core.storage import DiskStore
from ....causvid_core.stream import (
    Block,
    DecoderMemory,
    StreamState,
    blocks_for,
    px_ahead,
    switches_ahead,
)
from ....causvid_core.stream.geometry import SPACE_SCALE
from ..files import OutputFile, check_prefix, dead_files, in_bytes, output_file, workflow_metadata
from ..live.view import LiveView
from ..messages import joined, message
from ..notice import show
from ..stream.inputs import WHOLE
from ..stream.request import StreamRequest
from .vae import StreamVAE

TEMPORARY = "causvid"  # below ComfyUI's temporary folder


class Recording:
    """Decodes the stream of a request into a file while it is made.

    frames: WHOLE or NEW, what of the stream the file holds. hidden: of the node; its graph goes
    into the file. surplus: px frames at the end that only fill the last block and are left out of
    the file. The file plays up to its last frame at any time, under a `.part` name until it is
    closed, and stays when the run is interrupted; a run that starts again writes a new one.
    Raises ValueError for settings, a prefix or a batch that makes no file.
    """

    def __init__(
        self,
        request: StreamRequest,
        vae: StreamVAE,
        settings: media.VideoSettings,
        *,
        prefix: str,
        frames: str,
        hidden: Any,
        surplus: int = 0,
    ) -> None:
        state = request.state
        if state.batch != 1:
            raise ValueError(message("video.one_only", videos=state.batch))
        self._vae, self._settings = vae, media.checked_settings(settings)
        self._height, self._width = state.height * SPACE_SCALE, state.width * SPACE_SCALE
        self._prefix = check_prefix(prefix)
        self._file: OutputFile | None = None
        self._metadata = workflow_metadata(hidden)
        self._first_block = 0 if frames == WHOLE else state.blocks
        self._surplus = surplus
        self._most: int | None = None
        self.px_frames = 0
        self.memory: DecoderMemory | None = None

    def recorded(self, request: StreamRequest) -> StreamRequest:
        """The request, for a stream that is written to the file and keeps its latents on disk."""
        self._most = self._wanted(request)
        needed = self._vae.decoding_bytes(self._height, self._width)
        request = request.with_companion(self._vae.patcher, needed)
        folder = Path(folder_paths.get_temp_directory()) / TEMPORARY  # cleared when ComfyUI starts
        folder.mkdir(parents=True, exist_ok=True)
        return replace(request, store=DiskStore(folder), consumer=self._consumer)

    def _wanted(self, request: StreamRequest) -> int | None:
        """Px frames that the file gets; None for all."""
        if not self._surplus:
            return None
        state = request.state
        switches = switches_ahead(
            request.bound,
            state,
            request.context,
            request.switch,
            blocks_for(state, request.px_frames),
        )
        before = 0 if self._first_block else state.px_frames
        return before + px_ahead(state, switches) - self._surplus

    def summary(self) -> str:
        """Where the file is, how long and how large."""
        file = self._written
        return message(
            "video.written",
            name=Path(file.subfolder, file.held.where.name).as_posix(),
            frames=self.px_frames,
            seconds=self.px_frames / self._settings.fps,
            size=in_bytes(file.held.where.stat().st_size),
        )

    def video(self) -> Any:
        """The file as a VIDEO, read when it is used."""
        return InputImpl.VideoFromFile(str(self._written.held.path))

    def shown(self) -> Any:
        """The file in the node, as the host's Save Video shows it."""
        file = self._written
        entry = ui.SavedResult(file.filename, file.subfolder, io.FolderType.output)
        return ui.PreviewVideo([entry])

    @property
    def _written(self) -> OutputFile:
        if self._file is None:
            raise RuntimeError("the file is known once the stream is being made")
        return self._file

    @contextmanager
    def _consumer(self, state: StreamState, view: LiveView) -> Iterator[Callable[[Block], None]]:
        """Opens the file, first writes what `state` has already, then every block."""
        deep, done = media.is_deep(self._settings.pixel_format), False
        with self._opened() as file:
            try:
                with media.VideoWriter(file) as writer:
                    shown: list[Callable[[Tensor], None]] = []

                    def give(frames: Tensor) -> None:
                        writer.write(frames)
                        for show_frames in shown:
                            show_frames((frames >> 8).byte() if deep else frames)

                    decoder = media.WanDecoder(self._vae.on_weights())
                    film = media.Film(decoder, self._vae.device, give, deep=deep, most=self._most)
                    with film:
                        if (before := state.blocks - self._first_block) > 0:
                            show(message("video.decoding_before", count=before))
                        stop_at_cancel = management.throw_exception_if_processing_interrupted
                        film.begin(state, self._first_block, stop_at_cancel)
                        view.fps = self._settings.fps
                        shown.append(view.frames)
                        yield film.add
                    self.memory = film.memory()
                done = True
            finally:
                self.px_frames = file.px_frames
                if not done and self.px_frames and self._written.held.where.exists():
                    show(joined(self.summary(), message("video.stopped")))

    @contextmanager
    def _opened(self) -> Iterator[media.VideoFile]:
        """The file under a name of its own, and a notice about those that nobody finished."""
        suffix = media.CODECS[self._settings.codec].suffix
        with output_file(self._prefix, suffix, self._width, self._height) as self._file:
            folder = self._file.held.path.parent
            if left := dead_files(folder):
                show(message("video.leftovers", names=", ".join(left), folder=folder))
            yield media.VideoFile(
                self._file.held,
                self._settings,
                width=self._width,
                height=self._height,
                metadata=self._metadata,
            )
