"""Prompts of a batch, and the average of the weights."""

import pytest
import torch

import causvid_core as cv
from causvid_core.distill.conditioning import Conditioning
from causvid_core.distill.ema import EMA
from causvid_core.distill.guidance import Guidance, draw_unconditional, guided_flow
from causvid_core.mini import TextEncoder

from .small import bidirectional, latents, make_model, prompts


@torch.no_grad()
def test_prompts_of_any_length_share_a_batch():
    network, timesteps = bidirectional(), torch.full((2, 1), 500.0)
    texts = [torch.randn(n, 12) for n in (5, 0)]
    together = network.flow(latents(1), timesteps, Conditioning.of(texts))
    for n, text in enumerate(texts):
        alone = cv.forward_all(
            network.bound, latents(1)[n : n + 1], timesteps[:1], text[None], causal=False
        )
        assert (together[n : n + 1] - alone).abs().max() < 1e-5 * alone.std()


@torch.no_grad()
def test_a_dropped_prompt_is_the_empty_one():
    """Also where the two are of different length, and whatever length is left of the batch."""
    network, timesteps = bidirectional(), torch.full((2, 1), 500.0)
    for other in (
        prompts(8, lengths=(2,)),
        prompts(8, lengths=(9,)),
        Conditioning.of([torch.zeros(0, 12)]),
    ):
        mixed = prompts().replaced(torch.tensor([False, True]), other)
        flow = network.flow(latents(1), timesteps, mixed)
        assert torch.allclose(flow[0], network.flow(latents(1), timesteps, prompts())[0], atol=1e-5)
        replaced = network.flow(latents(1), timesteps, other.repeated(2))
        assert torch.allclose(flow[1], replaced[1], atol=1e-5)


@torch.no_grad()
def test_guidance_adds_to_the_prompt_alone():
    network, timesteps, empty = bidirectional(), torch.full((2, 1), 500.0), prompts(8, lengths=(2,))
    flows = [
        guided_flow(network, latents(1), timesteps, prompts(), Guidance(s + 1, empty))
        for s in (0, 1, 3)
    ]
    assert torch.equal(flows[0], network.flow(latents(1), timesteps, prompts()))
    torch.testing.assert_close(flows[2] - flows[0], 3 * (flows[1] - flows[0]), atol=1e-4, rtol=1e-4)


def test_prompts_are_dropped_with_the_given_probability():
    dropped = draw_unconditional(torch.Generator().manual_seed(0), 4000, 0.1)
    assert dropped.float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_the_minis_empty_prompt_is_padding_alone():
    empty = TextEncoder.load().encode("")
    assert empty.shape == (1, 512, 4096) and not empty.any()
    assert TextEncoder.load().embed("").shape == (0, 4096)


def test_the_average_starts_as_the_weights_and_then_follows():
    model = make_model()
    average, history = EMA(model, decay=0.75, start_step=2), []
    for step in range(5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1)
        average.update(model, step)
        history.append(model.head.head.weight.detach().clone())
    expected = history[1]
    for weights in history[2:]:
        expected = 0.75 * expected + 0.25 * weights
    name = "head.head.weight"
    torch.testing.assert_close(average.weights[name], expected)

    with average.applied_to(model):
        torch.testing.assert_close(model.head.head.weight.detach(), expected)
    assert torch.equal(model.head.head.weight, history[-1])

    copy = EMA(make_model(seed=1), decay=0.75)
    copy.load_state_dict(average.state_dict())
    assert torch.equal(copy.weights[name], average.weights[name])
    with pytest.raises(ValueError, match="another model"):
        EMA(make_model(num_layers=3)).load_state_dict(average.state_dict())
    with pytest.raises(ValueError, match="decay"):
        EMA(model, decay=1.0)


def test_the_average_of_half_precision_weights_is_kept_in_single():
    model = make_model().bfloat16()
    average = EMA(model, decay=0.999)
    with torch.no_grad():
        model.head.head.weight.add_(0.25)
    before = average.weights["head.head.weight"].clone()
    average.update(model, 0)
    moved = average.weights["head.head.weight"] - before
    assert moved.mean().item() == pytest.approx(0.25e-3, rel=0.05)
