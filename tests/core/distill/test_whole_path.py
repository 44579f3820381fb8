"""The whole path at the size of a toy: teacher, pairs, regression, matching, self-rollout.

On the Mini's world and through the commands' own functions: each stage begins with what the one
before it exported.
"""

import logging
import math

import pytest
import torch
from safetensors.torch import load_file

import causvid_core as cv
from causvid_core.cli import main
from causvid_core.distill.training.export import export
from causvid_core.distill.training.settings import Experiment
from causvid_core.distill.training.tables import read_table
from causvid_core.media.vae import WanVAE
from causvid_core.mini import TextEncoder, weights_path
from causvid_core.mini.clips import encode_world

from .training_runs import losses, run_here

SHAPE = {"dim": 32, "ffn_dim": 64, "num_heads": 2, "num_layers": 2, "freq_dim": 32}
FRAMES, CLIPS, BATCH = 6, 12, 6
STEPS = {"teacher": 80, "ode": 40, "dmd": 12, "self": 8}
RECIPE = "causvid-mini"


def train(folder, name, stage, data, weights=None, **tables):
    """Run a stage to its end and export it; returns the run's folder."""
    run = folder / f"run_{name}"
    model = {"shape": SHAPE, "recipe": RECIPE, "causal": name != "teacher"}
    size = {"latent_frames": FRAMES, "latent_height": 8, "latent_width": 8, "texts": "mini"}
    table = {
        "stage": stage,
        "steps": STEPS[name],
        "run": {
            "folder": str(run),
            "precision": "fp32",
            "gradient_checkpointing": False,
            "log_every": 1,
        },
        "model": model | ({"weights": str(weights)} if weights else {}),
        "data": data | size,
        "batch": {"size": BATCH, "per_rank": BATCH},
        "optimizer": {"lr": 8e-3, "betas": [0.9, 0.98], "clip_norm": 1.0, "warmup_steps": 5},
        "ema": {"decay": 0.8},
    }
    run_here(read_table(Experiment, table | tables, name))
    export(run, folder / f"{name}.safetensors", dtype=torch.float32)
    return run


@pytest.fixture
def clips(tmp_path):
    vae = WanVAE.from_state_dict(load_file(weights_path("vae")))
    encode_world(vae, CLIPS, 1 + 4 * (FRAMES - 1), seed=5, folder=tmp_path / "clips")
    return {"kind": "world", "folder": str(tmp_path / "clips")}


@pytest.mark.slow
def test_from_teacher_to_student(tmp_path, clips, caplog):
    caplog.set_level(logging.WARNING)
    teacher, ode, dmd = (tmp_path / f"{name}.safetensors" for name in ("teacher", "ode", "dmd"))
    run = train(tmp_path, "teacher", "flow_matching", clips | {"unconditional_probability": 0.1})
    curves = {"teacher": losses(run)}

    pairs = tmp_path / "pairs"
    command = ["--quiet", "--debug", "make-ode-pairs", str(teacher), str(pairs), "--recipe", RECIPE]
    command += ["--world", "12", "--latent-frames", str(FRAMES), "--width", "64", "--height", "64"]
    assert main([*command, "--steps", "12", "--guidance", "2", "--batch", "12"]) == 0
    kept = {"kind": "ode-pairs", "folder": str(pairs)}
    curves["ode"] = losses(train(tmp_path, "ode", "ode_regression", kept, teacher))

    optimizer = {"lr": 2e-3, "betas": [0.0, 0.999], "clip_norm": 1.0}
    matching = {
        "teacher": {"shape": SHAPE, "weights": str(teacher), "guidance_scale": 2.0},
        "critic": {
            "shape": SHAPE,
            "critic_updates_per_generator_update": 2,
            "optimizer": optimizer,
        },
        "optimizer": optimizer | {"lr": 5e-4},
    }
    for name, inputs, begin in (("dmd", "data", ode), ("self", "self_rollout", dmd)):
        settings = {"inputs": inputs, "shift": 5.0, "gradient_frames": FRAMES}
        run = train(tmp_path, name, "dmd", clips, begin, **matching, dmd=settings)
        curves[name], curves[f"{name} critic"] = losses(run), losses(run, "critic_loss")

    assert all(math.isfinite(value) for values in curves.values() for value in values)
    for name, share in (("teacher", 0.9), ("ode", 0.6)):
        third = len(curves[name]) // 3
        assert sum(curves[name][-third:]) < share * sum(curves[name][:third]), name

    student = cv.load_model(tmp_path / "self.safetensors")
    context = TextEncoder.load().encode("a red circle moving up over a black plain background")
    state = cv.start(cv.recipes[RECIPE], student, height=8, width=8)
    blocks = list(cv.rollout(student, state, context, blocks=4))
    assert all(block.latents.isfinite().all() for block in blocks)
