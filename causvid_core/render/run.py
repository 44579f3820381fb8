"""A render from the command line: denoise, decode and write, block by block."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..interrupt import Interrupted, SoftInterrupt
from ..media.film import Film
from ..media.video import contact_sheet
from ..media.writer import VideoFile, VideoWriter
from ..media.writer_codecs import CODECS, VideoSettings, checked_settings, is_deep
from ..storage.disk import DiskStore
from ..storage.stream_files import save_stream
from ..stream.geometry import FPS, SPACE_SCALE
from ..stream.rollout import StepRecord, rollout
from ..stream.state import StreamState
from .job import Job, make_job, texts_of
from .parts import Parts, Sources, load_parts
from .progress import RenderProgress

log = logging.getLogger("causvid")

SHEET_FRAMES = 18
SMALLEST_SHOWN_PX = 256
STOPPED = 130  # exit status


class Rendered(NamedTuple):
    """state: the stream as far as it is in the file. stopped: before its end."""

    state: StreamState
    px_frames: int
    stopped: bool


def run(arguments: argparse.Namespace) -> int:
    """Render as the arguments say; returns the exit status.

    Raises ValueError, OSError or RuntimeError in a sentence.
    """
    settings = checked_settings(
        VideoSettings(_codec(arguments), arguments.quality, arguments.fps, arguments.pixel_format)
    )
    out = _out(arguments, CODECS[settings.codec].suffix)
    parts = load_parts(_sources(arguments))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".causvid-", dir=out.parent, ignore_cleanup_errors=True
    ) as folder:
        store = DiskStore(folder)
        job = make_job(arguments, parts, store)
        made = _rendered(arguments, parts, job, out, settings, store)
        return _told(arguments, job, made, out)


def _rendered(
    arguments: argparse.Namespace,
    parts: Parts,
    job: Job,
    out: Path,
    settings: VideoSettings,
    store: DiskStore,
) -> Rendered:
    state, stopped = job.state, False
    width, height = state.width * SPACE_SCALE, state.height * SPACE_SCALE
    scale = arguments.scale or max(1, -(-SMALLEST_SHOWN_PX // min(width, height)))
    file = VideoFile(
        out, settings, width=width, height=height, scale=scale, metadata=_metadata(arguments, job)
    )
    progress = RenderProgress(None if arguments.quiet else sys.stderr)
    sheet = _Sheet(arguments.sheet, job.wanted)
    with SoftInterrupt(_announce_stop) as stop, VideoWriter(file) as writer:

        def give(frames: Tensor) -> None:
            writer.write(frames)
            sheet.add(frames)

        def on_step(record: StepRecord) -> None:
            stop.check()
            progress(record)

        with Film(parts.decoder(), parts.device, give, deep=is_deep(settings.pixel_format)) as film:
            try:
                film.begin(state, state.blocks if arguments.resume else 0, stop.check)
                with closing(
                    rollout(
                        parts.model,
                        state,
                        job.context,
                        job.blocks,
                        job.source,
                        arguments.strength,
                        on_step=on_step,
                        switch=arguments.mode,
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
                _rescue(arguments, job, state, out)
                raise
            finally:
                progress.finish()
        state = state._replace(decoder=film.memory())
    sheet.save()
    return Rendered(state, writer.px_frames, stopped)


def _told(arguments: argparse.Namespace, job: Job, made: Rendered, out: Path) -> int:
    """Save the stream where it is wanted, and say what there is now."""
    new = made.state.blocks - job.state.blocks
    if made.px_frames:
        print(f"{out} ({made.px_frames} px frames, {made.px_frames / arguments.fps:.1f} s)")
    if not made.stopped:
        if arguments.save_stream is not None:
            _save(made.state, arguments.save_stream)
            print(arguments.save_stream)
        return 0
    if not new:
        print("stopped before a block was done; there is no stream to go on with", file=sys.stderr)
        return STOPPED
    path = _stream_path(arguments, out)
    _save(made.state, path)
    print(path)
    print(
        f"stopped after block {new} of {job.blocks}; go on with\n"
        f"{_continuation(arguments, job, made.state, path)}",
        file=sys.stderr,
    )
    return STOPPED


def _rescue(arguments: argparse.Namespace, job: Job, state: StreamState, out: Path) -> None:
    """After an error: keep what is done, if that can be."""
    if state.blocks == job.state.blocks:
        return
    path = _stream_path(arguments, out)
    try:
        _save(state, path)
    except OSError as error:
        log.warning("the stream could not be saved: %s", error)
        return
    log.warning("go on with\n%s", _continuation(arguments, job, state, path))


def _save(state: StreamState, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_stream(state.light(), path)


def _stream_path(arguments: argparse.Namespace, out: Path) -> Path:
    return arguments.save_stream or out.with_suffix(".stream.safetensors")


def _continuation(arguments: argparse.Namespace, job: Job, state: StreamState, path: Path) -> str:
    """The command that renders the rest into a file of its own."""
    done = state.px_frames - job.state.px_frames
    words = ["python", "-m", "causvid_core", "render", "--resume", str(path)]
    same = (
        "prompt",
        "schedule",
        "mode",
        "video",
        "strength",
        "fit",
        "scale",
        "codec",
        "quality",
        "fps",
        "pixel_format",
        "checkpoint",
        "lora",
        "lora_strength",
        "vae",
        "context",
        "recipe",
        "device",
        "dtype",
    )
    for name in same:
        value = getattr(arguments, name)
        if value is not None and value != arguments.defaults[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if arguments.video is not None:
        words += ["--video-from", f"{arguments.video_from + done / FPS:.10g}"]
    words += ["--seconds", f"{max(1, job.wanted - done) / FPS:.10g}"]
    return shlex.join(words)


def _metadata(arguments: argparse.Namespace, job: Job) -> dict[str, str]:
    """What made the file, in the file."""
    facts = {"seed": job.state.seed, "recipe": job.state.recipe.to_dict(), "model": job.state.model}
    return {"comment": texts_of(arguments) or "", "causvid": json.dumps(facts)}


def _codec(arguments: argparse.Namespace) -> str:
    """The codec asked for, or the first one of --out's suffix."""
    if arguments.codec is not None:
        return arguments.codec
    if arguments.out is None:
        return next(iter(CODECS))
    found = [name for name, codec in CODECS.items() if codec.suffix == arguments.out.suffix]
    if not found:
        suffixes = sorted({codec.suffix for codec in CODECS.values()})
        raise ValueError(f"{arguments.out} is no video; name it with {' or '.join(suffixes)}")
    return found[0]


def _out(arguments: argparse.Namespace, suffix: str) -> Path:
    """Where the video goes. ValueError where it would replace one."""
    if arguments.out is None:
        names = (f"video-{n}{suffix}" if n > 1 else f"video{suffix}" for n in range(1, 10**6))
        return next(path for path in map(Path, names) if not path.exists())
    if arguments.out.exists() and not arguments.overwrite:
        raise ValueError(
            f"{arguments.out} is there already; give another --out, or --overwrite to replace it"
        )
    return arguments.out


def _sources(arguments: argparse.Namespace) -> Sources:
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = arguments.dtype or ("float32" if device == "cpu" else "bfloat16")
    return Sources(
        arguments.checkpoint,
        arguments.lora,
        arguments.lora_strength,
        arguments.vae,
        arguments.context,
        arguments.recipe,
        device,
        getattr(torch, dtype),
    )


def _announce_stop() -> None:
    print("\nstopping after this step; once more stops at once", file=sys.stderr, flush=True)


class _Sheet:
    """Keeps evenly chosen frames of a video as it passes by."""

    def __init__(self, path: Path | None, px_frames: int) -> None:
        self._path = path
        last = SHEET_FRAMES - 1
        self._chosen = {round(n * (px_frames - 1) / last) for n in range(SHEET_FRAMES)}
        self._seen = 0
        self._kept: list[Tensor] = []

    def add(self, frames: Tensor) -> None:
        for frame in frames if self._path is not None else ():
            if self._seen in self._chosen:
                self._kept.append(frame.float() / (255 if frame.dtype == torch.uint8 else 65535))
            self._seen += 1

    def save(self) -> None:
        if self._kept:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            contact_sheet(self._kept).save(self._path)
