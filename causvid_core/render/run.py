"""A render from the command line: denoise, decode and write, block by block."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
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
from ..model.binding import as_bound
from ..storage.disk import DiskStore
from ..storage.stream_files import save_stream
from ..stream.geometry import SPACE_SCALE
from ..stream.lengths import px_ahead, switches_ahead
from ..stream.rollout import StepRecord, rollout
from ..stream.state import StreamState
from .models import Models, load_models
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
    out = request.output(CODECS[settings.codec].suffix)
    models = load_models(request)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".causvid-", dir=out.parent, ignore_cleanup_errors=True
    ) as folder:
        store = DiskStore(folder)
        plan = plan_render(request, models, store)
        rendered = _render(request, models, plan, out, settings, store)
        return _report(request, plan, rendered, out)


def _render(
    request: RenderRequest,
    models: Models,
    plan: Plan,
    out: Path,
    settings: VideoSettings,
    store: DiskStore,
) -> Rendered:
    state, stopped = plan.state, False
    width, height = state.width * SPACE_SCALE, state.height * SPACE_SCALE
    scale = request.scale or max(1, -(-SMALLEST_SHOWN_PX // min(width, height)))
    facts = {"seed": state.seed, "recipe": state.recipe.to_dict(), "model": state.model}
    tags = {"comment": request.text or "", "causvid": json.dumps(facts)}
    file = VideoFile(out, settings, width=width, height=height, scale=scale, metadata=tags)
    progress = RenderProgress(None if request.quiet else sys.stderr)
    sheet = None if request.sheet is None else _Sheet(request.sheet, plan.px_frames)
    with SoftInterrupt(_announce_stop) as stop, VideoWriter(file) as writer:
        left = _frames_to_write(request, models, plan)

        def give(frames: Tensor) -> None:
            nonlocal left
            frames = frames[:left]
            left -= len(frames)
            if not len(frames):
                return
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
                stopped = True
            except (OSError, RuntimeError):
                _rescue(request, plan, state, out)
                raise
            finally:
                progress.finish()
        state = state._replace(decoder=film.memory())
    if sheet is not None:
        sheet.save()
    return Rendered(state, writer.px_frames, stopped)


def _frames_to_write(request: RenderRequest, models: Models, plan: Plan) -> int:
    """Px frames of the whole file, without those that only fill the footage's last block."""
    state = plan.state
    switches = switches_ahead(
        as_bound(models.model), state, plan.context, request.mode, plan.blocks
    )
    before = 0 if request.resume else state.px_frames
    return before + px_ahead(state, switches) - plan.surplus


def _report(request: RenderRequest, plan: Plan, rendered: Rendered, out: Path) -> int:
    """Save the stream where that was asked for or is needed, and say what was made."""
    state, px_frames = rendered.state, rendered.px_frames
    if px_frames:
        print(f"{out} ({px_frames} px frames, {px_frames / request.fps:.1f} s)")
    if not rendered.stopped:
        if request.save_stream is not None:
            print(_save(state, request.save_stream))
        return 0
    new = state.blocks - plan.state.blocks
    if not new:
        print("stopped before the first block; there is no stream to resume", file=sys.stderr)
        return STOPPED
    path, command = _save_to_resume(request, plan, state, out)
    print(path)
    print(f"stopped after block {new} of {plan.blocks}; resume with\n{command}", file=sys.stderr)
    return STOPPED


def _rescue(request: RenderRequest, plan: Plan, state: StreamState, out: Path) -> None:
    """After an error: save the blocks that are done, if that is possible."""
    if state.blocks == plan.state.blocks:
        return
    try:
        log.warning("resume with\n%s", _save_to_resume(request, plan, state, out)[1])
    except OSError as error:
        log.warning("the stream could not be saved: %s", error)


def _save(state: StreamState, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_stream(state.light(), path)
    return path


def _save_to_resume(
    request: RenderRequest, plan: Plan, state: StreamState, out: Path
) -> tuple[Path, str]:
    """Save a stream that is not complete; where it is, and the command that resumes it."""
    path = _save(state, request.save_stream or out.with_suffix(".stream.safetensors"))
    done = state.px_frames - plan.state.px_frames
    return path, request.continuation(path, done, max(1, plan.px_frames - done))


def _announce_stop() -> None:
    notice = "\nstopping after this step; press Ctrl-C once more to stop at once"
    print(notice, file=sys.stderr, flush=True)


class _Sheet:
    """Keeps evenly chosen frames of a video as they pass by."""

    def __init__(self, path: Path, px_frames: int) -> None:
        self._path = path
        self._chosen = set(evenly(px_frames, SHEET_FRAMES))
        self._seen = 0
        self._kept: list[Tensor] = []

    def add(self, frames: Tensor) -> None:
        for frame in frames:
            if self._seen in self._chosen:
                self._kept.append(frame.float() / (255 if frame.dtype == torch.uint8 else 65535))
            self._seen += 1

    def save(self) -> None:
        if self._kept:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            contact_sheet(self._kept).save(self._path)
