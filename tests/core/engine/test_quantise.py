"""Keys and values in 8 bits: what they take, what they cost, and that nothing else changes."""

import pytest
import torch

import causvid_core as cv
from causvid_core.mini import weights_path
from causvid_core.stream import release, snapshot, snapshot_within
from causvid_core.stream.quantise import quantise, restore

from .streams import SIZE, latents, make


def test_no_number_is_off_by_more_than_half_a_step():
    generator = torch.Generator().manual_seed(1)
    sizes = 10 ** torch.linspace(-30, 8, 12)
    given = torch.randn(1, 12, 3, 16, generator=generator) * sizes[:, None, None]
    given[0, 4, 1] = 0
    integers, scales = quantise(given)
    (back,) = restore([integers], [scales], torch.device("cpu"))
    largest = given.abs().amax(-1, keepdim=True)
    assert integers.dtype == torch.int8 and scales.shape == (1, 12, 3, 1)
    assert ((back - given).abs() <= largest / 127 * 0.5001).all()
    assert torch.equal(back.abs().amax(-1), largest[..., 0])


def test_a_state_in_8_bits_is_smaller_and_goes_on_alike(model, context, recipe):
    state = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 4)[-1].state
    exact = snapshot(state).snapshot
    small = snapshot_within(state, exact.nbytes, int8=True)
    assert {tensor.dtype for tensor in small.snapshot.keys} == {torch.int8}
    assert small.snapshot.nbytes == sum(t.numel() + 4 * t.numel() // 16 for t in exact.keys) * 2
    assert snapshot_within(state, small.snapshot.nbytes - 1, int8=True).snapshot is None
    release(state)
    expected, found = (latents(make(model, given, context, 2)) for given in (state.light(), small))
    assert 0 < (found - expected).norm() / expected.norm() < 0.05


def test_the_mini_goes_on_from_8_bits_within_a_few_percent(capsys):
    """The number is in the help page of CausVid Text to Video."""
    mini = cv.load_model(weights_path("dit"))
    recipe = cv.recipes["causvid-mini"]
    context = torch.randn(1, 12, 4096, generator=torch.Generator().manual_seed(3)) / 10
    start = cv.start(recipe, mini, height=8, width=8, seed=4)
    state = make(mini, start, context, 6)[-1].state
    small = snapshot_within(state, 10**9, int8=True)
    bf16 = 2 * sum(tensor.numel() for tensor in (*small.snapshot.keys, *small.snapshot.values))
    release(state)
    expected, found = (latents(make(mini, given, context, 1)) for given in (state.light(), small))
    error = ((found - expected).norm() / expected.norm()).item()
    share = small.snapshot.nbytes / bf16
    with capsys.disabled():
        print(f"\nint8 cache: {share:.3f} of bfloat16, next block off by {error:.4f}")
    assert error == pytest.approx(0, abs=0.05)
    assert share < 0.53
