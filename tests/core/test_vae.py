"""The streaming VAE against itself at once, and its shortcuts against the full arithmetic."""

import pytest
import torch

from causvid_core.media.vae import CausalConv3d, StreamDecoder, WanVAE


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    torch.manual_seed(0)
    return WanVAE.from_state_dict(WanVAE(4).state_dict())


@pytest.mark.parametrize("cuts", [[1, 1, 1, 1, 1], [1, 3, 1], [3, 2], [5]])
def test_pieces_decode_to_the_whole(vae, cuts):
    """However a stream is cut, its frames are those of the whole clip."""
    latents = torch.randn(2, 16, 5, 4, 4)
    decoder = StreamDecoder(vae)
    pieces = [decoder.push(part) for part in latents.split(cuts, dim=2)]
    assert [p.shape[2] for p in pieces] == [4 * cuts[0] - 3, *(4 * c for c in cuts[1:])]
    torch.testing.assert_close(torch.cat(pieces, dim=2), vae.decode(latents), atol=1e-5, rtol=0)


def test_pieces_encode_to_the_whole(vae):
    px = torch.rand(1, 3, 17, 32, 32)
    memory = {}
    pieces = [vae.encode(part, memory) for part in px.split([1, 4, 8, 4], dim=2)]
    torch.testing.assert_close(torch.cat(pieces, dim=2), vae.encode(px), atol=1e-5, rtol=0)


def test_no_frame_knows_the_future(vae):
    """Changing the last latent frame changes its own 4 px frames only."""
    latents = torch.randn(1, 16, 4, 4, 4)
    other = latents.clone()
    other[:, :, -1] += 1
    before, after = vae.decode(latents), vae.decode(other)
    assert torch.equal(before[:, :, :-4], after[:, :, :-4])
    assert not torch.allclose(before[:, :, -4:], after[:, :, -4:])


def test_reset_starts_a_new_stream(vae):
    latents = torch.randn(1, 16, 2, 4, 4)
    decoder = StreamDecoder(vae)
    first = decoder.push(latents)
    assert decoder.push(latents).shape[2] == 8
    decoder.reset()
    assert torch.equal(decoder.push(latents), first)


def test_memory_of_a_stream_is_constant(vae):
    decoder = StreamDecoder(vae)
    sizes = []
    for _ in range(4):
        decoder.push(torch.randn(1, 16, 2, 4, 4))
        sizes.append(sum(t.untyped_storage().nbytes() for t in decoder.memory.values()))
    assert sizes[1] == sizes[2] == sizes[3]


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
