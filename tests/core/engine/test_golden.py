"""The recorded rollouts of CausVid and Self-Forcing are reproduced."""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream.session import Session
from causvid_core.stream.window import WindowPolicy

ROLLOUTS = (
    "causvid_t2v_3step",
    "causvid_t2v_4step_warped",
    "causvid_continue_from_latents",
    "self_forcing_rolling_window",
    "self_forcing_window_sink",
    "self_forcing_framewise_first_frame",
)


def assert_close(found, expected, within):
    assert found.shape == expected.shape
    assert (found - expected).abs().max().item() < within


@pytest.mark.parametrize("name", ["block_causal_forward", "bidirectional_forward"])
@pytest.mark.parametrize("gradient", [False, True])
def test_training_forward(golden, name, gradient):
    case = golden(name)
    with torch.set_grad_enabled(gradient):
        flow = cv.forward_all(
            case.model,
            case["noisy"],
            case["timesteps"],
            case["context"],
            causal=case.case["kind"] == "block_causal",
            frames_per_block=case.case["frames_per_block"],
        )
    assert_close(flow, case["flow"], 1e-5)


@pytest.mark.parametrize("name", ROLLOUTS)
def test_rollout(golden, name):
    case = golden(name)
    recipe, policy = case.recipe, WindowPolicy.of(case.recipe)
    schedule = recipe.schedule(0)
    assert torch.equal(torch.tensor(schedule.timesteps), case["timesteps"])
    assert torch.equal(torch.tensor(schedule.sigmas), case["sigmas"])

    def noise(block, step, shape):
        span = policy.span(block)
        drawn = case["noise"] if step == 0 else case["renoise"][step - 1]
        return drawn[:, :, span.first : span.end]

    sizes = {key: case.case[key] for key in ("height", "width", "batch")}
    state = cv.start(recipe, case.model, **sizes)
    if "start_latents" in case.tensors:
        state = cv.prime(case.model, state, case["context"], case["start_latents"])
    given = state.frames
    total = case["latents"].shape[2]
    records, blocks = [], []
    count = len(policy.split(state.blocks, total - given))
    for block in cv.rollout(
        case.model, state, case["context"], count, noise=noise, on_step=records.append
    ):
        blocks.append(block)

    assert_close(blocks[-1].state.latents, case["latents"], 2e-5)
    for step, expected in enumerate(case["x0_per_step"]):
        found = [record.x0 for record in records if record.step == step]
        assert_close(torch.cat(found, dim=2), expected[:, :, given:], 2e-5)
    if "first_flow" in case.tensors:
        first = records[0]
        frames = slice(first.first_frame, first.first_frame + first.x0.shape[2])
        flow = (case["noise"][:, :, frames] - first.x0) / schedule.sigmas[0]
        assert_close(flow, case["first_flow"], 1e-5)
    check_cache(case, policy, blocks[-1].state)


def check_cache(case, policy, state):
    """The final keys and values, frame by frame: the reference keeps them in order of time."""
    tokens = case.model.config.tokens_per_frame(state.height, state.width)
    with Session(cv.bind(case.model), state, 0) as session, torch.no_grad():
        ring = session.catch_up().ring
    for slot in range(policy.filled(state.frames)):
        place = policy.visible(state.frames).index(policy.frame_in(slot, state.frames))
        for kind, tensors in (("k", ring.keys), ("v", ring.values)):
            for layer in (0, len(tensors) - 1):
                reference = case.cache[f"cache.{layer}.{kind}"]
                assert_close(
                    tensors[layer][:, slot * tokens : (slot + 1) * tokens],
                    reference[:, place * tokens : (place + 1) * tokens],
                    2e-5,
                )


def test_the_sink_of_the_reference_matters(golden):
    """A rollout without the recorded sink differs, so the comparison above can fail."""
    case = golden("self_forcing_window_sink")
    outs = []
    for sink in (case.recipe.sink, 0):
        recipe = cv.Recipe.from_dict({**case.recipe.to_dict(), "sink": sink})
        state = cv.start(recipe, case.model, height=8, width=12)
        outs.append(list(cv.rollout(case.model, state, case["context"], 5))[-1].latents)
    assert (outs[0] - outs[1]).abs().max() > 1e-2
