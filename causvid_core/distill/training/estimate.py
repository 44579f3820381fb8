"""Calculate what a run takes: parameters, memory of a GPU and steps a day (`--dry-run`)."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ...model.transformer import Block
from .flops import Pass, parameters
from .network_settings import Optimizer, Transformer
from .networks import PRECISIONS
from .settings import Experiment

DAY = 86_400.0
MINI_ROWS = 12  # words of a prompt of the Mini, whose padding is computed once
GATHERED_LAYERS = 2  # the one that computes and the one that is prefetched


class Part(NamedTuple):
    """A network's share of a GPU's memory, in bytes by what they are for."""

    name: str
    parameters: int
    bytes: dict[str, float]


def memory(experiment: Experiment, gpus: int) -> list[Part]:
    """What each network keeps on one of `gpus` GPUs, over which FSDP shards it."""
    itemsize = PRECISIONS[experiment.run.precision].itemsize
    averaged = experiment.ema is not None
    parts = [_trained("model", experiment.model, experiment.optimizer, averaged, gpus, itemsize)]
    if experiment.stage == "dmd":
        _, teacher, critic = experiment.matching
        parts.append(_trained("critic", critic, critic.optimizer, False, gpus, itemsize))
        count = parameters(teacher.config)
        frozen = {"weights": itemsize * count / gpus, "gathered": _gathered(teacher, itemsize)}
        parts.append(Part("teacher", count, frozen))
    return parts


def activations(experiment: Experiment, gpus: int, gradient_checkpointing: bool) -> float:
    """Bytes that the largest update keeps for its gradient on one of `gpus` GPUs."""
    itemsize = PRECISIONS[experiment.run.precision].itemsize
    kept = _pass(experiment, experiment.model, experiment.model.causal)
    most = kept.activation_bytes(gradient_checkpointing, itemsize)
    if experiment.stage == "dmd":
        dmd, _, critic = experiment.matching
        if dmd.inputs == "self_rollout":
            most += kept.cache_bytes(itemsize)
            if not gradient_checkpointing:  # every block keeps copies of the keys and values it saw
                most += kept.cache_bytes(itemsize) * kept.pairs() / kept.tokens**2
        learns = _pass(experiment, critic, False)
        most = max(most, learns.activation_bytes(gradient_checkpointing, itemsize))
    return most * experiment.batch.at_once(gpus)


def step_flops(experiment: Experiment) -> float:
    """Floating point operations of a step over all GPUs, on average."""
    again = 1 if experiment.run.gradient_checkpointing else 0
    size, openings = experiment.batch.size, experiment.data.openings
    whole = _pass(experiment, experiment.model, experiment.model.causal)
    model: float = whole.forward_flops()
    if openings:
        opening = replace(whole, frames=openings.latent_frames).forward_flops()
        model += (opening - model) * openings.per_batch / size
    if experiment.stage != "dmd":
        return size * (3 + again) * model
    dmd, teacher, critic = experiment.matching
    real = _pass(experiment, teacher, teacher.causal).forward_flops()
    fake = _pass(experiment, critic, False).forward_flops()
    made = model
    if dmd.inputs == "self_rollout":
        # Every exit step is equally likely; one clean pass follows.
        made *= (len(experiment.recipe.timesteps) + 1) / 2 + 1
    judged = real * (2 if teacher.guidance_scale != 1 else 1) + fake
    update = made + (2 + again) * model + judged
    share = experiment.updates / experiment.steps
    return size * (made + (3 + again) * fake + update * share)


def describe(experiment: Experiment, gpus: int, flops: float) -> str:
    """All of this as text, for `gpus` GPUs that reach `flops` operations a second each.

    Raises ConfigError for a batch that so many GPUs cannot share.
    """
    passes, at_once = experiment.batch.passes(gpus), experiment.batch.at_once(gpus)
    data, run = experiment.data, experiment.run
    tokens = _pass(experiment, experiment.model, True).tokens
    lines = [
        f"{experiment.stage}, {experiment.steps} steps of {experiment.batch.size} samples: "
        f"{data.latent_frames} latent frames of {data.latent_width}x{data.latent_height}, "
        f"{tokens:,} tokens each",
        f"{_count(gpus, 'GPU')}, {_count(at_once, 'sample')} at once on each, "
        f"{_count(passes, 'pass', 'es')} a step; {run.precision}, FSDP",
        "",
        "memory of a GPU, in GB",
        f"{'':<10}{'parameters':>16}" + "".join(f"{name:>11}" for name in _COLUMNS),
    ]
    total = 0.0
    for part in memory(experiment, gpus):
        cells = "".join(f"{_gb(part.bytes.get(name, 0)):>11}" for name in _COLUMNS)
        lines.append(f"{part.name:<10}{part.parameters:>16,}{cells}")
        total += sum(part.bytes.values())
    lines.append(f"networks together {_gb(total)}")
    for checkpointed, words in ((True, "checkpointed"), (False, "all kept")):
        kept = activations(experiment, gpus, checkpointed)
        mark = "  <- this config" if checkpointed == run.gradient_checkpointing else ""
        lines.append(f"activations {words:<12}{_gb(kept):>8}, in all {_gb(total + kept)}{mark}")
    work = step_flops(experiment)
    seconds = work / gpus / flops
    days = experiment.steps * seconds / DAY
    duration = f"{days:,.3g} days" if days >= 2 else f"{24 * days:,.3g} hours"
    unit, name = (1e15, "PFLOP") if work >= 1e15 else (1e12, "TFLOP")
    lines += [
        "",
        f"{work / unit:,.3g} {name} a step; at {flops / 1e12:,.4g} TFLOP/s a GPU "
        f"{seconds:,.3g} s a step, {DAY / seconds:,.0f} steps a day, "
        f"{duration} ({days * gpus:,.3g} GPU days) in all",
        "Calculated; the text encoder, the VAE, reading data and waiting for other GPUs come on "
        "top.",
    ]
    return "\n".join(lines)


_COLUMNS = ("weights", "gradients", "optimizer", "average", "gathered")


def _trained(
    name: str, part: Transformer, optimizer: Optimizer, averaged: bool, gpus: int, itemsize: int
) -> Part:
    count = parameters(part.config)
    moments = 2 * count
    if optimizer.kind == "muon":
        # Muon keeps one number where AdamW keeps two.
        dim, ffn_dim = part.config.dim, part.config.ffn_dim
        moments -= part.config.num_layers * (8 * dim**2 + 2 * dim * ffn_dim)
    kept = {
        "weights": 4 * count / gpus,
        "gradients": 4 * count / gpus,
        "optimizer": 4 * moments / gpus,
        "gathered": _gathered(part, itemsize) + 4 * parameters(part.config, Block),
    }
    return Part(name, count, kept | ({"average": 4 * count / gpus} if averaged else {}))


def _gathered(part: Transformer, itemsize: int) -> float:
    """What is gathered in the run's precision: some layers, and everything outside layers."""
    layer = parameters(part.config, Block)
    around = parameters(part.config) - part.config.num_layers * layer
    return itemsize * (GATHERED_LAYERS * layer + around)


def _pass(experiment: Experiment, part: Transformer, causal: bool) -> Pass:
    data = experiment.data
    recipe = experiment.recipe if causal else None
    size = (data.latent_frames, data.latent_height, data.latent_width)
    rows = MINI_ROWS if data.texts == "mini" else None
    forcing = part is experiment.model and experiment.model.teacher_forcing
    return Pass(part.config, *size, recipe, rows, forcing)


def _count(number: int, name: str, plural: str = "s") -> str:
    return f"{number} {name}{'' if number == 1 else plural}"


def _gb(count: float) -> str:
    return f"{count / 1e9:,.2f}" if count < 1e11 else f"{count / 1e9:,.0f}"
