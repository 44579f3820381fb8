"""Train the Mini's first causal transformer: a stage of flow matching after clean blocks.

As the student samples in four steps only, most blocks learn at the noise levels of these four.
The first block decides what a video shows, and the others continue it. So most of each batch are
openings, clips of one block alone, which cost a seventh of a whole clip. The first block of a whole
clip has its shape anywhere, unlike an opening, and is context without loss.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from ...distill.training.export import export
from ...distill.training.network_settings import Model
from ...distill.training.ranks import joined
from ...distill.training.run import train
from ...distill.training.saved_runs import saved_runs
from ...distill.training.settings import EMA, Batch, Data, Experiment, FlowMatching, Openings, Run
from ...stream.presets import recipes
from ..embedded import embedded
from ..files import weights_path
from ..settings import STEPS
from .loop import optimizer

RECIPE = "causvid-mini"
RUN = "dit"


def experiment(folder: Path, steps: int = STEPS, first_weights: Path | None = None) -> Experiment:
    """The stage, learning from clips and openings that `clips.encode_world` wrote to `folder`."""
    recipe = recipes[RECIPE]
    block = recipe.frames_per_block
    openings = Openings(folder=str(folder / "openings"), latent_frames=block, per_batch=60)
    return Experiment(
        stage="flow_matching",
        steps=steps,
        run=Run(
            folder=str(folder / RUN),
            precision="bf16",
            gradient_checkpointing=False,
            checkpoint_every=250,
            log_every=50,
            tensorboard=False,
        ),
        model=Model(size="mini", weights=str(first_weights or ""), recipe=RECIPE, context="clean"),
        data=Data(
            kind="world",
            folder=str(folder / "clips"),
            texts="mini",
            latent_frames=4 * block,
            latent_height=8,
            latent_width=8,
            given_frames=block,
            openings=openings,
        ),
        batch=Batch(size=64, per_rank=64),
        optimizer=optimizer(1.5e-3, kind="muon", matrix_lr=2e-3, betas=(0.9, 0.98)),
        flow_matching=FlowMatching(shift=recipe.shift, recipe_share=0.8, context_noise=0.1),
        ema=EMA(decay=0.998, from_step=100),
    )


def train_transformer(
    folder: Path, steps: int = STEPS, first_weights: Path | None = None, workers: int = 1
) -> bool:
    """Train, or resume, in `folder`, in several processes; write the transformer to `folder`.

    first_weights: a checkpoint to begin with instead of fresh weights. Returns False when the
    training was asked to stop before its end.
    """
    settings = experiment(folder, steps, first_weights)
    if workers == 1:
        _train(settings, folder)
    else:
        with tempfile.TemporaryDirectory() as meeting:
            arguments = (workers, f"file://{meeting}/store", settings, folder)
            spawn(_worker, arguments, nprocs=workers)  # type: ignore[no-untyped-call]
    if max(saved_runs(folder / RUN), default=0) < steps:
        return False
    export(folder / RUN, weights_path("dit", folder), dtype=torch.float16)
    return True


def _worker(rank: int, workers: int, store: str, settings: Experiment, folder: Path) -> None:
    torch.set_num_threads(1)  # threads of several processes would wait for each other
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=workers)
    try:
        _train(settings, folder)
    finally:
        dist.destroy_process_group()


def _train(settings: Experiment, folder: Path) -> None:
    with joined("cpu") as ranks:
        train(settings, ranks, resume=True, embedded=embedded(folder))
