"""A render from the command line: denoise, decode and write, block by block."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import closing
from itertools import islice
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
from ..prompts.layout import distinct_texts
from ..prompts.schedule_text import parse_schedule
from ..storage.checkpoints import Checkpoints
from ..storage.disk import DiskStore
from ..storage.reserve import Reservation, scratch_folder
from ..storage.space import SpaceWatch
from ..storage.stream_files import save_stream
from ..stream.geometry import FPS, SPACE_SCALE, TIME_SCALE
from ..stream.lengths import px_ahead, switches_ahead
from ..stream.rollout import StepRecord, rollout
from ..stream.state import StreamState
from .checkpoints import checkpoints, elsewhere
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
            with closing(checkpoints(request, plan, outputs.film.path)) as saved:
                rendered = _render(request, models, plan, outputs, settings, store, saved)
                status = _report(request, plan, rendered, outputs)
            saved.remove()
            _name_unknown_words(request, models)
            return status


def _render(
    request: RenderRequest,
    models: Models,
    plan: Plan,
    outputs: Outputs,
    settings: VideoSettings,
    store: DiskStore,
    saved: Checkpoints,
) -> Rendered:
    state = saved.resume(store)
    done, stopped = state.blocks - plan.state.blocks, False
    source = plan.source if plan.source is None else islice(plan.source, done, None)
    width, height = state.width * SPACE_SCALE, state.height * SPACE_SCALE
    scale = request.scale or max(1, -(-SMALLEST_SHOWN_PX // min(width, height)))
    facts = {"seed": state.seed, "recipe": state.recipe.to_dict(), "model": state.model}
    tags = {"comment": request.text or "", "causvid": json.dumps(facts)}
    file = VideoFile(outputs.film, settings, width=width, height=height, scale=scale, metadata=tags)
    progress = RenderProgress(None if request.quiet else sys.stderr)
    sheet = None if outputs.sheet is None else _Sheet(outputs.sheet, plan.px_frames)
    seconds = state.recipe.frames_per_block * TIME_SCALE / FPS
    space = SpaceWatch(outputs.film.path.parent, seconds)
    with SoftInterrupt(_announce_stop) as stop, VideoWriter(file) as writer:

        def give(frames: Tensor) -> None:
            writer.write(frames)
            if sheet is not None:
                sheet.add(frames)

        def on_step(record: StepRecord) -> None:
            stop.check()
            progress(record)

        deep = is_deep(settings.pixel_format)
        most = _frames_to_write(request, models, plan)
        decoder = WanDecoder(models.vae)
        with Film(decoder, models.device, give, deep=deep, most=most) as film:
            try:
                film.begin(state, plan.state.blocks if request.resume else 0, stop.check)
                with closing(
                    rollout(
                        models.model,
                        state,
                        plan.context,
                        plan.blocks - done,
                        source,
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
                        saved(state)
                        _watch(space, plan, state, progress)
            except Interrupted:
                stopped, file.finished = True, False
            except (OSError, RuntimeError):
                _rescue(request, plan, state, outputs, saved)
                raise
            finally:
                progress.finish()
        state = state._replace(decoder=film.memory())
    if sheet is not None:
        sheet.save(finished=not stopped)
    return Rendered(state, writer.px_frames, stopped)


def _frames_to_write(request: RenderRequest, models: Models, plan: Plan) -> int:
    """Px frames of the whole file, without those that only fill the footage's last block."""
    state, bound = plan.state, as_bound(models.model)
    switches = switches_ahead(bound, state, plan.context, request.mode, plan.blocks)
    before = 0 if request.resume else state.px_frames
    return before + px_ahead(state, switches) - plan.surplus


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


def _name_unknown_words(request: RenderRequest, models: Models) -> None:
    """Say once more, where it is read, which words of the prompts meant nothing."""
    texts: tuple[str, ...] = () if request.text is None else (request.text,)
    if request.schedule is not None:
        texts = tuple(distinct_texts(parse_schedule(request.text or "")))
    words = dict.fromkeys(word for text in texts for word in models.unknown_words(text))
    if words:
        print(f"CausVid Mini does not know and skipped: {'; '.join(words)}", file=sys.stderr)


def _rescue(
    request: RenderRequest, plan: Plan, state: StreamState, outputs: Outputs, saved: Checkpoints
) -> None:
    """After an error: save the blocks that are done, wherever that is possible."""
    if state.blocks == plan.state.blocks:
        return
    for folder in (None, *elsewhere()):
        try:
            command = _save_to_resume(request, plan, state, outputs, folder)[1]
        except OSError as error:
            log.warning("the stream could not be saved: %s", error)
            if (path := saved.save(state)) is not None:
                log.warning("its blocks are in %s; the same command resumes from there", path)
                return
        else:
            log.warning("resume with\n%s", command)
            return


def _watch(space: SpaceWatch, plan: Plan, state: StreamState, progress: RenderProgress) -> None:
    """Say when the disk will not hold what is still to be made."""
    done = state.blocks - plan.state.blocks
    if (minutes := space.minutes_left(done, plan.blocks - done)) is not None:
        progress.finish()
        log.warning("the disk is nearly full: it has room for %.1f more minutes of video", minutes)


def _save(state: StreamState, held: Reservation) -> Path:
    with held:
        save_stream(state.light(), held.partial)
        held.commit()
    return held.path


def _save_to_resume(
    request: RenderRequest,
    plan: Plan,
    state: StreamState,
    outputs: Outputs,
    folder: Path | None = None,
) -> tuple[Path, str]:
    """Save a stream that is not complete; where it is, and the command that resumes it.

    folder: where it goes instead of where it belongs.
    """
    path = _save(state, outputs.unfinished_stream(folder))
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
