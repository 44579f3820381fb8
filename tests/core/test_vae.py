"""Wan's VAE as a whole: its shortcuts against the full arithmetic, and whose weights it runs on."""

import pytest
import torch

from causvid_core.media.vae import WanVAE
from causvid_core.media.vae_layers import CausalConv3d


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    torch.manual_seed(0)
    return WanVAE.from_state_dict(WanVAE(4).state_dict())


def test_a_vae_may_run_on_anothers_parameters(vae):
    """Without a copy, and following them when they are moved or changed in place."""
    shared = WanVAE.sharing(dict(vae.named_parameters()))
    theirs = {p.data_ptr() for p in vae.parameters()}
    assert {p.data_ptr() for p in shared.parameters()} == theirs
    px = torch.rand(1, 3, 5, 32, 32)
    assert torch.equal(shared.encode(px), vae.encode(px))
    with pytest.raises(ValueError, match="not a Wan 2.1 VAE"):
        WanVAE.sharing({"decoder.head.0.gamma": torch.zeros(4, 1, 1, 1)})


def test_half_precision_takes_and_gives_single_precision(vae):
    half = WanVAE.sharing({k: v.bfloat16() for k, v in vae.state_dict().items()})
    px = torch.rand(1, 3, 5, 32, 32)
    latents = half.encode(px)
    assert latents.dtype == torch.float32 and half.decode(latents).dtype == torch.float32
    exact = vae.encode(px)
    assert (latents - exact).square().mean() < 1e-2 * exact.var()


def test_no_frame_knows_the_future(vae):
    """Changing the last latent frame changes its own 4 px frames only."""
    latents = torch.randn(1, 16, 4, 4, 4)
    other = latents.clone()
    other[:, :, -1] += 1
    before, after = vae.decode(latents), vae.decode(other)
    assert torch.equal(before[:, :, :-4], after[:, :, :-4])
    assert not torch.allclose(before[:, :, -4:], after[:, :, -4:])


def test_zero_taps_are_found_and_skipped(vae):
    """Weights whose older taps are zero run frame by frame, with the same result."""
    weights = {k: v.clone() for k, v in vae.state_dict().items()}
    for name, weight in weights.items():
        if weight.dim() == 5 and tuple(weight.shape[2:]) == (3, 3, 3):
            weight[:, :, :-1] = 0
            assert "time_conv" not in name
    fast = WanVAE.from_state_dict(weights)
    convs = [m for m in fast.modules() if isinstance(m, CausalConv3d)]
    assert all(conv.spatial for conv in convs)
    latents = torch.randn(1, 16, 3, 4, 4)
    quick = fast.decode(latents)
    for conv in convs:
        conv.spatial = conv.kernel_size[0] == 1
    torch.testing.assert_close(quick, fast.decode(latents), atol=1e-5, rtol=0)


def test_other_files_are_refused_by_name():
    with pytest.raises(ValueError, match="not a Wan 2.1 VAE"):
        WanVAE.from_state_dict({"blocks.0.ffn.0.weight": torch.zeros(1)})
