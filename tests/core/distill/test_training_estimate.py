"""The dry run's numbers against counting while a model runs."""

from dataclasses import replace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

import causvid_core as cv
from causvid_core.distill.network import with_gradient_checkpointing
from causvid_core.distill.training.data import Samples
from causvid_core.distill.training.estimate import activations, memory, step_flops
from causvid_core.distill.training.flops import Pass
from causvid_core.distill.training.ranks import joined
from causvid_core.distill.training.stages import DistributionMatching
from causvid_core.model.config import WanConfig

from .training_runs import SHAPE, experiment, make_data

CONFIG = WanConfig(dim=128, ffn_dim=320, num_heads=2, num_layers=3, text_dim=24, text_len=32)
FRAMES, SIZE = 6, 8
RECIPE = cv.recipes["causvid"]


def plain_attention(q, k, v, bias=None):
    """In matrix products, which a counter of operations sees on every device."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    return ((q @ k.transpose(-1, -2)).softmax(dim=-1) @ v).transpose(1, 2)


def run(bound, causal, teacher_forcing=False):
    noisy = torch.randn(1, 16, FRAMES, SIZE, SIZE)
    clean = noisy[:, :, : -RECIPE.frames_per_block] if teacher_forcing else None
    context = torch.randn(1, CONFIG.text_len, CONFIG.text_dim)
    return cv.forward_all(
        bound, noisy, torch.full((1, FRAMES), 500.0), context, causal, clean=clean
    )


@pytest.mark.parametrize(
    ("causal", "teacher_forcing"), [(True, False), (True, True), (False, False)]
)
def test_operations_are_those_that_a_counter_counts(causal, teacher_forcing):
    bound = cv.bind(cv.CausalWan(CONFIG), attention=plain_attention)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run(bound, causal, teacher_forcing)
    estimate = Pass(
        CONFIG, FRAMES, SIZE, SIZE, RECIPE if causal else None, teacher_forcing=teacher_forcing
    )
    assert estimate.forward_flops() == counter.get_total_flops()


@pytest.mark.parametrize("teacher_forcing", [True, False])
@pytest.mark.parametrize("gradient_checkpointing", [True, False])
def test_activations_are_near_what_autograd_keeps(gradient_checkpointing, teacher_forcing):
    model = cv.CausalWan(CONFIG)
    bound = (
        replace(cv.bind(model), within=with_gradient_checkpointing)
        if gradient_checkpointing
        else cv.bind(model)
    )
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        run(bound, True, teacher_forcing)
    counted = sum(size for size, _ in kept.values())
    each = Pass(CONFIG, FRAMES, SIZE, SIZE, RECIPE, teacher_forcing=teacher_forcing)
    estimate = each.activation_bytes(gradient_checkpointing, 4)
    if gradient_checkpointing:  # one layer more, while it is computed again
        single = replace(each, config=replace(CONFIG, num_layers=1))
        estimate -= single.activation_bytes(False, 4) - single.around_bytes(4)
    assert 0.75 * counted < estimate < 1.25 * counted


def test_networks_take_what_was_calculated(tmp_path):
    settings = experiment(make_data(tmp_path), tmp_path / "run", "dmd")
    with joined("cpu") as ranks:
        stage = DistributionMatching(settings, Samples(settings), ranks)
        stage.step(0)
        found = {}
        for name, learner in stage.learners.items():
            states = [s for o in learner.optimizers for s in o.state.values()]
            found[name] = {
                "weights": sum(p.nbytes for p in learner.module.parameters()),
                "optimizer": sum(s["exp_avg"].nbytes + s["exp_avg_sq"].nbytes for s in states),
            }
        found["model"]["average"] = sum(w.nbytes for w in stage.ema.weights.values())
        teacher = stage.real.bound.tree.parameters()
        found["teacher"] = {"weights": sum(p.nbytes for p in teacher)}
    for part in memory(settings, 1):
        assert {name: part.bytes[name] for name in found[part.name]} == found[part.name]


def test_what_costs_more_is_said_to_cost_more(tmp_path):
    deep = {"model__shape": SHAPE | {"num_layers": 6}}
    plain = experiment(tmp_path, tmp_path, "dmd", **deep)
    rolled = experiment(tmp_path, tmp_path, "dmd", dmd__inputs="self_rollout", **deep)
    assert step_flops(rolled) > 1.2 * step_flops(plain)
    late = experiment(tmp_path, tmp_path, "dmd", critic__warmup_steps=2, **deep)
    assert (plain.updates, late.updates) == (2, 1) and step_flops(late) < step_flops(plain)
    noisy, clean = (
        experiment(tmp_path, tmp_path, "ode_regression", model__context=context, **deep)
        for context in ("noisy", "clean")
    )
    assert step_flops(clean) > 1.2 * step_flops(noisy)
    assert activations(plain, 1, gradient_checkpointing=False) > 2 * activations(
        plain, 1, gradient_checkpointing=True
    )
    one, four = (memory(plain, gpus)[0].bytes for gpus in (1, 4))
    assert one["weights"] == 4 * four["weights"] and one["gathered"] == four["gathered"]
