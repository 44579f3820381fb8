"""Attention as products of matrices against exact attention and PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from causvid_core.model import bfloat16_attention
from causvid_core.model.attention import torch_attention


def tokens(batch, count, sharpness, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, count, 2, 64, generator=generator) * sharpness
    return x.to(torch.bfloat16)


def fused(q, k, v):
    parts = (x.transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(*parts).transpose(1, 2)


def error(found, exact):
    return ((found.double() - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("sharpness", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("queries", [1, 300])
def test_as_exact_as_pytorch_within_a_factor(queries, sharpness):
    q = tokens(2, queries, sharpness, 0)
    k, v = (tokens(2, 700, sharpness, seed) for seed in (1, 2))
    exact = fused(q.double(), k.double(), v.double())
    found = bfloat16_attention.tiled_attention(q, k, v)
    assert found.shape == q.shape and found.dtype == torch.bfloat16
    assert error(found, exact) < max(3 * error(fused(q, k, v), exact), 0.01)


def test_a_key_that_stands_out_is_found_though_the_sample_misses_it():
    q, k, v = (tokens(1, 300, 1.0, seed) for seed in range(3))
    k[:, 3] = 4 * q[:, 5]
    exact = fused(q.double(), k.double(), v.double())
    found = bfloat16_attention.tiled_attention(q, k, v)
    assert error(found[:, 5], exact[:, 5]) < 0.01


def test_parts_of_longer_tensors_and_samples_stay_apart():
    q, k, v = (tokens(2, 600, 1.0, seed) for seed in range(3))
    both = bfloat16_attention.tiled_attention(q, k[:, :400], v[:, :400])
    for sample in range(2):
        pick = slice(sample, sample + 1)
        alone = bfloat16_attention.tiled_attention(q[pick], k[pick, :400], v[pick, :400])
        assert torch.equal(both[pick], alone)


@pytest.mark.parametrize("natively", [True, False])
def test_it_is_taken_where_the_processor_multiplies_bfloat16(monkeypatch, natively):
    monkeypatch.setattr(bfloat16_attention, "_multiplies_bfloat16", lambda: natively)
    q, k, v = (tokens(1, 300, 1.0, seed) for seed in range(3))
    assert not bfloat16_attention.suits(q, k), "gradients may be wanted"
    assert torch.equal(torch_attention(q, k, v), fused(q, k, v))
    with torch.no_grad():
        assert bfloat16_attention.suits(q, k) == natively
        assert not bfloat16_attention.suits(q, k[:, :20])
        assert not bfloat16_attention.suits(q.float(), k.float())
        assert torch.equal(torch_attention(q, k, v), fused(q, k, v)) != natively
