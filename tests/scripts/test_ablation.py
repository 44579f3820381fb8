"""The order of the ablation, a network trained for two steps, and the report."""

import json
from pathlib import Path

import pytest
import torch
from measuring.ablation import CELLS, DONE, TEACHER, TRAININGS, Job, run, with_needed
from measuring.ablation_report import COLUMNS, LABELS, curves, speed_table, strips, table
from PIL import Image

from causvid_core.distill.training.config import read_config
from causvid_core.media.loading import load_vae
from causvid_core.mini import weights_path
from causvid_core.mini.clips import encode_world
from causvid_core.model.checkpoints import read_state_dict

ROOT = Path(__file__).resolve().parents[2]


def test_every_network_comes_after_those_that_it_needs():
    assert with_needed(["self_rollout"]) == ["ode", "ode_dmd", "self_rollout"]
    assert sorted(with_needed(list(TRAININGS))) == sorted(TRAININGS)
    assert with_needed(["ode_dmd_causal", "ode"]) == ["ode", "causal", "ode_dmd_causal"]
    assert with_needed(["dmd"]) == ["dmd"]
    assert set(LABELS) == {TEACHER, *TRAININGS}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_config_accepts_the_settings_of_the_ablation(name):
    training = TRAININGS[name]
    experiment = read_config(ROOT / "configs" / f"{training.config}.toml", training.settings)
    assert experiment.model.context == "noisy" and experiment.steps <= 220


@pytest.mark.slow
def test_a_network_is_trained_and_measured_once(tmp_path):
    clips = tmp_path / "clips"
    encode_world(load_vae(weights_path("vae")), 2, 45, seed=5, folder=clips)
    overrides = (
        "steps=2",
        "batch.size=2",
        "batch.per_rank=2",
        f"data.folder={clips}",
        "critic.critic_updates_per_generator_update=2",
        "samples.every=0",
        "ema.from_step=0",
        "ema.decay=0.0",
        "run.tensorboard=false",
        "teacher.guidance_scale=2.5",
    )
    teacher = weights_path("dit")
    job = Job("dmd", 3, tmp_path / "ablation", teacher, 1.0, overrides, 2, 1)
    home = run(job, ROOT / "configs")

    config = json.loads((home / "run/config.json").read_text("utf-8"))
    assert config["run"]["seed"] == 3 and config["teacher"]["guidance_scale"] == 2.5
    assert config["teacher"]["causal"] is False
    for part in ("model", "teacher", "critic"):
        assert config[part]["weights"] == str(teacher)
    before, after = read_state_dict(str(teacher)), read_state_dict(str(job.weights("dmd")))
    assert not torch.equal(before["head.head.weight"], after["head.head.weight"])

    figures = json.loads((home / DONE).read_text("utf-8"))
    assert {key for _, key, *_ in COLUMNS} <= {*figures, "long_direction"}
    assert {len(curve) for curve in figures["by_tenth"].values()} == {10}
    assert Image.open(home / "strip.png").width == 64 * CELLS + 3 * (CELLS + 1)

    job.weights("dmd").unlink()
    assert run(job, ROOT / "configs") == home  # what is measured is not trained again
    assert not job.weights("dmd").exists()


def figures_of(**changes):
    """What was measured of a network of one seed."""
    traits = ("shape", "colour", "direction", "overlap")
    by_tenth = {trait: [1.0] * 10 for trait in traits}
    return {key: 0.5 for _, key, *_ in COLUMNS} | {"by_tenth": by_tenth} | changes


def test_the_report_has_the_mean_and_the_deviation_of_the_seeds():
    one, other = figures_of(), figures_of(shape=0.7)
    without = {key: value for key, value in one.items() if "drift" not in key and "long" not in key}
    del without["by_tenth"]
    text = table({TEACHER: [without], "ode": [one, other]})
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}
    assert "| 60.0 ± 14.1 |" in rows[LABELS["ode"]]
    assert "| 100.0 ± 0.0 |" in rows[LABELS["ode"]]  # the direction of long videos
    assert rows[LABELS[TEACHER]].endswith("|  |  |  |  |") and "±" not in rows[LABELS[TEACHER]]
    fast, slow = {"first_frame_s": 0.1, "fps": 80.0}, {"first_frame_s": 5.0, "fps": 8.0}
    assert "| ratio | 50x sooner | 10x faster |" in speed_table({"teacher": slow, "student": fast})
    red, blue = (Image.new("RGB", (40, 20), colour) for colour in ("red", "blue"))
    sheet = strips({TEACHER: red, "ode": blue})
    assert sheet.getpixel((10, 10)) == (255, 0, 0) and sheet.getpixel((60, 10)) == (0, 0, 255)


def test_curves_are_as_wide_with_many_networks_as_with_few():
    pytest.importorskip("matplotlib")
    few = curves({"ode": [figures_of(), figures_of(shape=0.7)]}, 120)
    many = curves({name: [figures_of()] for name in TRAININGS}, 120)
    assert many.width == few.width and many.height > few.height  # the legend has more lines
