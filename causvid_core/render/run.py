"""A render from the command line: denoise, decode and write, block by block."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..interrupt import Interrupted, SoftInterrupt
from ..media.background_writer import VideoWriter
from ..media.film import Film
from ..media.sheet import evenly
from ..media.video import contact_sheet
from ..media.wan_stream import WanDecoder
from ..media.writer import VideoFile
from ..media.writer_codecs import CODECS, VideoSettings, is_deep
from ..storage.disk import DiskStore
from ..storage.reserve import Reservation, scratch_folder
from ..storage.stream_files import save_stream
from ..stream.geometry import SPACE_SCALE
from ..stream.rollout import StepRecord, rollout
from ..stream.state import StreamState
from .models import Models, load_models
from .outputs import Outputs, reserved
from .plan import Plan, plan_render
from .progress import RenderProgress
from .request import RenderRequest

log = logging.getLogger("causvid")

SHEET_FRAMES = 18
SMALLEST_SHOWN_PX = 256
STOPPED = 130  # exit status


class Rendered(NamedTuple):
    """state: the stream as far as it is in the file. stopped: before its end."""

    state: StreamState
    px_frames: int
    stopped: bool


def run(request: RenderRequest) -> int:
    """Render what was asked for; returns the exit status.

    Raises ValueError, OSError or RuntimeError in a sentence.
    """
    settings = request.video_settings()
    with reserved(request, CODECS[settings.codec].suffix) as outputs:
        models = load_models(request)
        with scratch_folder(outputs.film.path.parent) as folder:
            store = DiskStore(folder)
            plan = plan_render(request, models, store)
            rendered = _render(request, models, plan, outputs, settings, store)
            return _report(request, plan, rendered, outputs)


def _render(
    request: RenderRequest,
    models: Models,
    plan: Plan,
    outputs: Outputs,
    settings: VideoSettings,
    store: DiskStore,
) -> Rendered:
    state, stopped = plan.state, False
    width, height = state.width * SPACE_SCALE, state.height * SPACE_SCALE
    scale = request.scale or max(1, -(-SMALLEST_SHOWN_PX // min(width, height)))
    facts = {"seed": state.seed, "recipe": state.recipe.to_dict(), "model": state.model}
    tags = {"comment": request.text or "", "causvid": json.dumps(facts)}
    file = VideoFile(outputs.film, settings, width=width, height=height, scale=scale, metadata=tags)
    progress = RenderProgress(None if request.quiet else sys.stderr)
    sheet = None if outputs.sheet is None else _Sheet(outputs.sheet, plan.px_frames)
    with SoftInterrupt(_announce_stop) as stop, VideoWriter(file) as writer:

        def give(frames: Tensor) -> None:
            writer.write(frames)
            if sheet is not None:
                sheet.add(frames)

        def on_step(record: StepRecord) -> None:
            stop.check()
            progress(record)

        deep = is_deep(settings.pixel_format)
        with Film(WanDecoder(models.vae), models.device, give, deep=deep) as film:
            try:
                film.begin(state, state.blocks if request.resume else 0, stop.check)
                with closing(
                    rollout(
                        models.model,
                        state,
                        plan.context,
                        plan.blocks,
                        plan.source,
                        request.strength,
                        on_step=on_step,
                        switch=request.mode,
                        store=store,
                    )
                ) as blocks:
                    for block in blocks:
                        film.add(block)
                        state = block.state
                        progress.frames(film.px_frames)
            except Interrupted:
                stopped, file.finished = True, False
            except (OSError, RuntimeError):
                _rescue(request, plan, state, outputs)
                raise
            finally:
                progress.finish()
        state = state._replace(decoder=film.memory())
    if sheet is not None:
        sheet.save(finished=not stopped)
    return Rendered(state, writer.px_frames, stopped)


def _report(request: RenderRequest, plan: Plan, rendered: Rendered, outputs: Outputs) -> int:
    """Save the stream where that was asked for or is needed, and say what was made."""
    state, px_frames = rendered.state, rendered.px_frames
    if px_frames:
        film = outputs.film
        print(f"{film.where} ({px_frames} px frames, {px_frames / request.fps:.1f} s)")
    if not rendered.stopped:
        if outputs.stream is not None:
            print(_save(state, outputs.stream))
        return 0
    if px_frames and not film.committed:
        print(f"{film.path} is still the film that was there before", file=sys.stderr)
    new = state.blocks - plan.state.blocks
    if not new:
        print("stopped before the first block; there is no stream to resume", file=sys.stderr)
        return STOPPED
    path, command = _save_to_resume(request, plan, state, outputs)
    print(path)
    print(f"stopped after block {new} of {plan.blocks}; resume with\n{command}", file=sys.stderr)
    return STOPPED


def _rescue(request: RenderRequest, plan: Plan, state: StreamState, outputs: Outputs) -> None:
    """After an error: save the blocks that are done, if that is possible."""
    if state.blocks == plan.state.blocks:
        return
    try:
        log.warning("resume with\n%s", _save_to_resume(request, plan, state, outputs)[1])
    except OSError as error:
        log.warning("the stream could not be saved: %s", error)


def _save(state: StreamState, held: Reservation) -> Path:
    with held:
        save_stream(state.light(), held.partial)
        held.commit()
    return held.path


def _save_to_resume(
    request: RenderRequest, plan: Plan, state: StreamState, outputs: Outputs
) -> tuple[Path, str]:
    """Save a stream that is not complete; where it is, and the command that resumes it."""
    path = _save(state, outputs.unfinished_stream())
    done = state.px_frames - plan.state.px_frames
    return path, request.continuation(path, done, max(1, plan.px_frames - done))


def _announce_stop() -> None:
    notice = "\nstopping after this step; press Ctrl-C once more to stop at once"
    print(notice, file=sys.stderr, flush=True)


class _Sheet:
    """Keeps evenly chosen frames of a video as they pass by."""

    def __init__(self, held: Reservation, px_frames: int) -> None:
        self._held = held
        self._chosen = set(evenly(px_frames, SHEET_FRAMES))
        self._seen = 0
        self._kept: list[Tensor] = []

    def add(self, frames: Tensor) -> None:
        for frame in frames:
            if self._seen in self._chosen:
                self._kept.append(frame.float() / (255 if frame.dtype == torch.uint8 else 65535))
            self._seen += 1

    def save(self, finished: bool) -> None:
        if self._kept:
            contact_sheet(self._kept).save(self._held.partial)
            self._held.settle(finished)
