"""CausVid's ablation on the Mini: which networks are trained, and how each is measured."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from causvid_core.distill.network import Network
from causvid_core.distill.training.config import read_config
from causvid_core.distill.training.export import export
from causvid_core.distill.training.ranks import joined
from causvid_core.distill.training.run import train
from causvid_core.media.loading import load_vae
from causvid_core.media.pixels import as_pixels
from causvid_core.media.sheet import picture_sheet
from causvid_core.media.wan_stream import WanDecoder
from causvid_core.mini import MINI, TextEncoder, making, weights_path
from causvid_core.mini.evaluate import Guided, Make, Streamed, evaluate_mini
from causvid_core.mini.measure import read_clip
from causvid_core.mini.world import ClipSpec, held_out_specs
from causvid_core.model.checkpoints import load_model
from causvid_core.stream.geometry import latent_frames_from_px, px_frames_from_latent
from causvid_core.stream.presets import recipes

TEACHER = "teacher"
RECIPE = recipes[making.RECIPE]
FRAMES = latent_frames_from_px(making.CLIP_PX_FRAMES)
"""Latent frames of a clip, as trained; long videos are ten times as long."""
TENTHS = 10
CELLS, ROWS = 6, 4  # frames of a sample, and samples in a strip
DONE = "figures.json"


class Training(NamedTuple):
    """A network of the ablation.

    config: name of a training config, that of the Mini in the pack. start_from: the network whose
    weights it starts from. teacher: the network that predicts the real score of DMD.
    many_steps: sampled in 50 steps with guidance. settings: what differs from the config.
    """

    config: str
    start_from: str = TEACHER
    teacher: str | None = None
    many_steps: bool = False
    settings: tuple[str, ...] = ()


TRAININGS: Mapping[str, Training] = MappingProxyType(
    {
        "causal": Training("mini_causal", many_steps=True),
        "ode": Training("mini_ode", settings=("steps=220", "model.context=noisy")),
        "dmd": Training("mini_dmd", teacher=TEACHER),
        "ode_dmd_causal": Training("mini_dmd", "ode", "causal"),
        "ode_dmd": Training("mini_dmd", "ode", TEACHER),
        "self_rollout": Training(
            "mini_self_forcing",
            "ode_dmd",
            TEACHER,
            settings=(
                "steps=150",
                "optimizer.warmup_steps=0",
                "critic.warmup_steps=0",
                "ema.from_step=10",
            ),
        ),
    }
)


class Job(NamedTuple):
    """One network of one seed, and where its files are.

    teacher: weights of the bidirectional teacher. guidance: of networks that are sampled in many
    steps; the teacher of a student has that of the student's config. overrides: further values
    for all configs, as for `causvid_core train --set`.
    """

    name: str
    seed: int
    folder: Path
    teacher: Path
    guidance: float
    overrides: tuple[str, ...]
    prompts: int
    long_prompts: int

    @property
    def home(self) -> Path:
        """The folder of this network and its measurements."""
        return self.folder / (self.name if self.name == TEACHER else f"{self.name}_{self.seed}")

    def weights(self, name: str) -> Path:
        """The file of a network of this seed."""
        if name == TEACHER:
            return self.teacher
        return self._replace(name=name).home / "dit.safetensors"


def with_needed(names: Sequence[str]) -> list[str]:
    """Networks and all that they start from or learn from, each after those that it needs."""
    return list(dict.fromkeys(_needed(names)))


def _needed(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        training = TRAININGS[name]
        needed = (training.start_from, training.teacher)
        yield from _needed(other for other in needed if other and other in TRAININGS)
        yield name


def run(job: Job, configs: Path) -> Path:
    """Train and measure a network unless that is done; returns its folder.

    An interrupted training resumes from its checkpoint.
    """
    home = job.home
    home.mkdir(parents=True, exist_ok=True)
    if (home / DONE).exists():
        return home
    if job.name != TEACHER and not job.weights(job.name).exists():
        _train(job, configs)
    figures = measure(job)
    part = home / "figures.part"
    part.write_text(json.dumps(figures, indent=1), "utf-8")
    os.replace(part, home / DONE)
    return home


def _train(job: Job, configs: Path) -> None:
    training, target = TRAININGS[job.name], job.weights(job.name)
    run_folder = job.home / "run"
    overrides = [
        *training.settings,
        *job.overrides,
        f"run.folder={run_folder}",
        f"run.seed={job.seed}",
        f"model.weights={job.weights(training.start_from)}",
    ]
    if training.teacher is not None:
        overrides += [
            f"teacher.weights={job.weights(training.teacher)}",
            f"critic.weights={job.teacher}",
            f"teacher.causal={str(training.teacher != TEACHER).lower()}",
        ]
    experiment = read_config(configs / f"{training.config}.toml", overrides)
    with joined("cpu") as ranks:
        done = train(experiment, ranks, resume=True, embedded=MINI)
    if done < experiment.steps:
        raise KeyboardInterrupt
    part = export(run_folder, target.with_suffix(".part.safetensors"), dtype=torch.float16)
    os.replace(part, target)


def maker(job: Job) -> Make:
    """How to sample a network: a student in its recipe's steps, others in 50 with guidance."""
    model, text = load_model(str(job.weights(job.name))), TextEncoder.load()
    if job.name != TEACHER and not TRAININGS[job.name].many_steps:
        return Streamed(model, text, RECIPE)
    network = Network.bidirectional(model) if job.name == TEACHER else Network.of(model, RECIPE)
    return Guided(network, text, RECIPE.shift, job.guidance)


@torch.inference_mode()
def measure(job: Job) -> dict[str, object]:
    """Figures of `evaluate_mini` and of each tenth of long videos; also saves a strip of samples.

    by_tenth: for each trait, the share of long videos that show it; overlap: mean frame quality.
    """
    vae, make = load_vae(weights_path("vae")), maker(job)
    is_causal = job.name != TEACHER
    rows, readings = [], []
    shown = px_frames_from_latent(FRAMES * (TENTHS if is_causal else 1))

    def look(spec: ClipSpec, clip: Tensor) -> None:
        if clip.shape[1] != shown:
            return
        if is_causal:
            readings.append([(spec, read_clip(tenth)) for tenth in clip.chunk(TENTHS, dim=1)])
        rows.append(clip[:, :: (shown - 1) // (CELLS - 1)][:, :CELLS])

    long_prompts = job.long_prompts if is_causal else 0
    figures: dict[str, object] = dict(
        evaluate_mini(make, vae, FRAMES, job.prompts, long_prompts, look=look)
    )
    if is_causal:
        figures["by_tenth"] = _by_tenth(readings)
    frames = [
        Image.fromarray(as_pixels(frame))
        for row in rows[:ROWS]
        for frame in row.permute(1, 2, 3, 0)
    ]
    picture_sheet(frames, columns=CELLS, cell_px=64, gap_px=3).save(job.home / "strip.png")
    return figures


def _by_tenth(readings: Sequence[Sequence[tuple]]) -> dict[str, list[float]]:
    tenths = list(zip(*readings, strict=True))

    def right(trait: str) -> list[float]:
        return [
            statistics.fmean(getattr(found, trait) == getattr(spec, trait) for spec, found in tenth)
            for tenth in tenths
        ]

    overlap = [statistics.fmean(found.overlap for _, found in tenth) for tenth in tenths]
    return {trait: right(trait) for trait in ("shape", "colour", "direction")} | {
        "overlap": overlap
    }


@torch.inference_mode()
def speed(model: nn.Module, guidance: float, repeats: int = 3) -> dict[str, dict[str, float]]:
    """Seconds to the first px frame and px frames per second, for one video of the trained length.

    For a bidirectional teacher in 50 steps with guidance, and for a student of the same size.
    Decoding counts, encoding the prompt does not. The best of `repeats` runs.
    """
    text, vae = TextEncoder.load(), load_vae(weights_path("vae"))
    prompt = [held_out_specs(1)[0].caption]
    guided = Guided(Network.bidirectional(model), text, RECIPE.shift, guidance)
    found = {}
    for name, make in (("teacher", guided), ("student", Streamed(model, text, RECIPE))):
        times = [_timed(make, prompt, WanDecoder(vae)) for _ in range(repeats)]
        found[name] = {
            "first_frame_s": min(first for first, _ in times),
            "fps": max(fps for _, fps in times),
        }
    return found


def _timed(make: Make, prompt: list[str], decoder: WanDecoder) -> tuple[float, float]:
    started, first, count = time.perf_counter(), 0.0, 0
    for piece in make(prompt, FRAMES, 0):
        for index in range(piece.shape[2]):
            count += decoder.decode(piece[:, :, index : index + 1]).shape[2]
            first = first or time.perf_counter() - started
    return first, count / (time.perf_counter() - started)
