"""Clips and openings in one batch, learned after clean blocks: as recorded, and shared evenly."""

import json

import pytest
import torch

import causvid_core as cv
from causvid_core.distill import network
from causvid_core.distill.conditioning import Conditioning
from causvid_core.distill.training.data import Samples
from causvid_core.distill.training.networks import whole
from causvid_core.distill.training.ranks import joined
from causvid_core.distill.training.settings import Experiment
from causvid_core.distill.training.stages import FlowMatching
from causvid_core.distill.training.tables import ConfigError, read_table
from causvid_core.model.checkpoints import convert
from causvid_core.storage.shards import ShardWriter

from . import mixed
from .training_runs import experiment, losses, make_data, run_here


class Recorded:
    """Gives fixed numbers in place of draws, in the order in which the stage asks for them."""

    def __init__(self, fixed):
        share = fixed.context_share.view(-1, 1, 1, 1, 1)
        self._each = iter([fixed.timesteps, share])
        self._normal = iter([fixed.noise, fixed.context_noise])

    def each(self, draw):
        return next(self._each).clone()

    def normal(self, *shape):
        return next(self._normal).clone()


def shards(folder, fixed):
    with ShardWriter(folder, "clips") as writer:
        for number, (latents, context) in enumerate(zip(fixed.latents, fixed.prompts, strict=True)):
            tensors = {"latents": latents, "context": context}
            writer.add(str(number), f"prompt {number}", tensors)
    return str(folder)


def settings(tmp_path, **tables):
    model = cv.CausalWan(cv.WanConfig(**mixed.SHAPE))
    mixed.fixed_weights(model)
    weights = convert(model.state_dict(), tmp_path / "fixed.safetensors", config=model.config)
    table = {
        "stage": "flow_matching",
        "steps": 1,
        "run": {"folder": str(tmp_path / "run"), "precision": "fp32"},
        "model": {
            "shape": mixed.SHAPE,
            "weights": str(weights),
            "recipe": "causvid-mini",
            "context": "clean",
        },
        "data": {
            "kind": "clips",
            "folder": shards(tmp_path / "clips", mixed.CLIPS),
            "latent_frames": 12,
            "latent_height": mixed.SIZE[0],
            "latent_width": mixed.SIZE[1],
            "given_frames": mixed.GIVEN_FRAMES,
            "openings": {
                "folder": shards(tmp_path / "openings", mixed.OPENINGS),
                "latent_frames": 3,
                "per_batch": 4,
            },
        },
        "batch": {"size": 6, "per_rank": 6},
        "optimizer": {"lr": 1e-3},
        "flow_matching": {"recipe_share": 0.8, "context_noise": mixed.CONTEXT_NOISE},
    }
    return read_table(Experiment, table | tables, "test")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_mixed_batch_has_the_recorded_loss_and_gradients(tmp_path, monkeypatch, precision):
    recorded = json.loads(mixed.PATH.read_text("utf-8"))
    run = {"folder": str(tmp_path / "run"), "precision": precision}
    experiment = settings(tmp_path, run=run)
    with joined("cpu") as ranks:
        stage = FlowMatching(experiment, Samples(experiment), ranks)
        tree = stage.network.bound.tree
        asked = list(stage.batches(0, "model"))
        assert [batch.tensors["latents"].shape[2] for batch in asked] == [12, 3]
        assert [len(batch.places) for batch in asked] == [2, 4]
        fixed = [
            batch._replace(
                tensors={"latents": part.latents},
                conditioning=Conditioning.of(part.prompts),
                draws=Recorded(part),
            )
            for batch, part in zip(asked, (mixed.CLIPS, mixed.OPENINGS), strict=True)
        ]
        monkeypatch.setattr(stage, "batches", lambda step, purpose: fixed)
        total = 0.0
        for loss in stage.losses(0):
            loss.backward()
            total += float(loss.detach())
        found = mixed.measured(
            total, [(name, whole(p.grad).float()) for name, p in tree.named_parameters()]
        )
    if precision == "bf16":
        assert found["loss"] == pytest.approx(recorded["loss_bfloat16"], rel=1e-2)
        return
    assert found["loss"] == pytest.approx(recorded["loss"], rel=1e-5)
    assert found["gradients"].keys() == recorded["gradients"].keys()
    for name, values in recorded["gradients"].items():
        assert found["gradients"][name] == pytest.approx(values, rel=1e-3, abs=1e-6), name


def test_given_frames_are_context_and_not_learned(tmp_path, monkeypatch):
    """Their noisy copies get no gradient of their own; what follows them does."""
    seen, mean_square = [], network.mean_square

    def watched(error, loss_mask=None):
        seen.append((error, loss_mask))
        return mean_square(error, loss_mask)

    monkeypatch.setattr(network, "mean_square", watched)
    experiment = settings(tmp_path)
    with joined("cpu") as ranks:
        stage = FlowMatching(experiment, Samples(experiment), ranks)
        clips, _ = (next(stage.batches(0, "model")) for _ in range(2))
        rest = stage._loss(clips)
        stage._loss(next(stage.batches(0, "model"))._replace(given_frames=0))
    (error, loss_mask), (every, nothing) = seen
    assert every.shape == (2, 16, 12, *mixed.SIZE) and nothing is None
    torch.testing.assert_close(error, every)
    assert loss_mask.tolist() == [[False] * 3 + [True] * 9] * 2
    torch.testing.assert_close(rest, every[:, :, 3:].square().mean())


def test_processes_share_clips_and_openings_evenly(tmp_path):
    samples = Samples(settings(tmp_path))
    for half in (range(3), range(3, 6)):
        clips, openings = samples.batches(0, "model", half)
        assert len(clips.places) == 1 and len(openings.places) == 2
        assert clips.given_frames == 3 and openings.given_frames == 0
    uneven = settings(tmp_path / "uneven", batch={"size": 6, "per_rank": 2})
    with joined("cpu") as ranks, pytest.raises(ConfigError, match="4 openings of a batch of 6"):
        FlowMatching(uneven, samples, ranks)


def test_accumulated_passes_weigh_clips_and_openings_as_one_does(tmp_path):
    data = make_data(tmp_path / "data")
    found = []
    for per_rank in (4, 2):
        mixture = {"folder": str(data / "clips"), "latent_frames": 3, "per_batch": 2}
        run = tmp_path / f"of_{per_rank}"
        run_here(
            experiment(
                data,
                run,
                batch__per_rank=per_rank,
                data__openings=mixture,
                data__given_frames=3,
                model__context="clean",
                flow_matching__context_noise=0.1,
            )
        )
        found.append(losses(run))
    assert found[0] == pytest.approx(found[1], rel=1e-5)
