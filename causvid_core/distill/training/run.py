"""The loop of a run: steps, checkpoints, figures, previews and clean stops."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ...interrupt import SoftInterrupt
from ...storage import replacing, safetensors_file
from ...storage.reserve import Reservation, reserve
from ..embedded import EmbeddedModel
from .data import Samples
from .learner import NotFinite
from .metrics import Metrics
from .previews import make_previews
from .ranks import Ranks
from .saved_runs import CONFIG, load, read_run, save, saved_runs
from .settings import Experiment
from .stage import Stage
from .stages import STAGES
from .tables import ConfigError

log = logging.getLogger("causvid")

# Settings that may change when a run is resumed, as they change no weight.
FREE = {
    "steps",
    "samples",
    "run.checkpoint_every",
    "run.keep",
    "run.log_every",
    "run.tensorboard",
    "run.gradient_checkpointing",
    "batch.per_rank",
}

ONE_SIGNAL_S = 3.0


class TrainingStopped(RuntimeError):
    """The run cannot continue; the message says why and what was kept."""


def train(
    experiment: Experiment,
    ranks: Ranks,
    resume: bool = False,
    embedded: EmbeddedModel | None = None,
) -> int:
    """Run an experiment to its end, or until it is asked to stop; returns the steps done.

    Every process of the run calls it. Checkpoints, `metrics.csv` and previews go to the run's
    folder. SIGINT and SIGTERM let the step end, save and return; a second one stops at once.
    embedded: the model that the experiment may call by its name. Raises ConfigError for a folder
    that holds another run, TrainingStopped when a loss is not finite; the folder then has its
    batch. FileExistsError while another process writes to that folder.
    """
    folder = Path(experiment.run.folder).expanduser()
    with _only_writer(folder) if ranks.first else nullcontext():
        return _train(experiment, ranks, resume, embedded, folder)


def _only_writer(folder: Path) -> Reservation:
    """Hold the run's folder, by the name of its config. FileExistsError for a run that goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    return reserve(folder / CONFIG, replace=True)


def _train(
    experiment: Experiment, ranks: Ranks, resume: bool, embedded: EmbeddedModel | None, folder: Path
) -> int:
    first = _check_folder(experiment, folder, ranks, resume)
    stage = STAGES[experiment.stage](experiment, Samples(experiment, embedded), ranks)
    if first:
        load(saved_runs(folder)[first], stage.learners, stage.ema)
    log.info("%s, from step %d to %d, in %s", experiment.stage, first, experiment.steps, folder)
    with ExitStack() as stack:
        announce = partial(
            log.info, "stopping after this step; once more stops at once, without saving"
        )
        stop = stack.enter_context(SoftInterrupt(announce, grace_s=ONE_SIGNAL_S))
        metrics = None
        if ranks.first:
            run = experiment.run
            metrics = Metrics(folder, first, experiment.steps, run.log_every, run.tensorboard)
            stack.enter_context(metrics)
        return _loop(stage, folder, first, metrics, stop)


def _loop(
    stage: Stage, folder: Path, first: int, metrics: Metrics | None, stop: SoftInterrupt
) -> int:
    experiment, ranks, run = stage.experiment, stage.ranks, stage.experiment.run
    saved = first
    for step in range(first, experiment.steps):
        try:
            figures = stage.step(step)
        except NotFinite as error:
            path = _keep_batches(stage, step, folder)
            raise TrainingStopped(
                f"step {step} was not taken: {error}. Its batch is in {path.parent}, the last "
                f"checkpoint is of step {saved}. Look at the samples in the batch, or lower the "
                "learning rate, and continue with --resume"
            ) from error
        done = step + 1
        if metrics:
            metrics.add(done, figures)
        stopping = ranks.any(stop.asked)
        last = done == experiment.steps
        if stopping or last or done % run.checkpoint_every == 0:
            save(folder, done, stage.learners, stage.ema, ranks, run.keep)
            saved = done
        every = experiment.samples.every
        if every and not stopping and (last or done % every == 0):
            for path in make_previews(stage, done, folder / "samples"):
                log.info("wrote %s", path)
                if metrics:
                    picture = np.asarray(Image.open(path.with_suffix(".png")))
                    metrics.picture(f"samples/{path.stem[-1]}", picture, done)
        if stopping:
            log.info("stopped after step %d and saved it; continue with --resume", done)
            return done
    return experiment.steps


def _check_folder(experiment: Experiment, folder: Path, ranks: Ranks, resume: bool) -> int:
    """The number of steps done so far; writes the config to the run's folder."""
    kept = folder / CONFIG
    config = json.loads(json.dumps(asdict(experiment)))
    finished = list(saved_runs(folder))
    if finished and not resume:
        raise ConfigError(
            f"{folder} holds a run of {finished[-1]} steps; continue it with --resume or choose "
            "another run.folder"
        )
    if finished and kept.exists():
        before = json.loads(json.dumps(asdict(read_run(folder))))
        if changed := _differences(before, config):
            raise ConfigError(
                f"the run in {folder} began with {'; '.join(changed)}; change it back or choose "
                "another run.folder"
            )
    ranks.wait()
    if ranks.first:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as part:
            part.write_text(json.dumps(config, indent=2, ensure_ascii=False), "utf-8")
    return finished[-1] if finished else 0


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted({*old, *new}):
        before, after, path = old.get(key), new.get(key), f"{prefix}{key}"
        if path in FREE or path == "run.folder" or before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{path}.")
        else:
            found.append(f"{path} = {before}, and now it is {after}")
    return found


def _keep_batches(stage: Stage, step: int, folder: Path) -> Path:
    """Write what this process learned from in a step, one file an update; returns the last."""
    target = folder / f"not_finite_step_{step:07d}"
    target.mkdir(parents=True, exist_ok=True)
    for purpose in stage.purposes:
        path = target / f"{purpose}_rank_{stage.ranks.rank}.safetensors"
        tensors: dict[str, Tensor] = {}
        prompts: list[str] = []
        for number, batch in enumerate(stage.batches(step, purpose)):
            named = batch.tensors | {"context": batch.conditioning.context}
            tensors |= {f"{number}.{name}": value.contiguous() for name, value in named.items()}
            prompts += batch.prompts
        header = {"step": str(step), "prompts": json.dumps(prompts)}
        safetensors_file.write(path, tensors, header)
    return path
