"""The streaming VAE against itself at once, and its shortcuts against the full arithmetic."""

import pytest
import torch

from causvid_core.media.vae import StreamDecoder, StreamEncoder, WanVAE
from causvid_core.media.vae_layers import CausalConv3d


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


@pytest.mark.parametrize("cuts", [[17], [1] * 17, [2, 3, 5, 7], [4, 4, 4, 4, 1], [1, 15, 1]])
def test_however_frames_are_pushed_the_latents_are_those_of_the_whole(vae, cuts):
    px = torch.rand(2, 3, 17, 32, 48, generator=torch.Generator().manual_seed(1))
    encoder = StreamEncoder(vae)
    pieces = [encoder.push(part) for part in px.split(cuts, dim=2)]
    done = [1 + (sum(cuts[: n + 1]) - 1) // 4 for n in range(len(cuts))]
    assert [sum(p.shape[2] for p in pieces[: n + 1]) for n in range(len(cuts))] == done
    torch.testing.assert_close(torch.cat(pieces, dim=2), vae.encode(px), atol=1e-6, rtol=0)
    again = StreamEncoder(vae)
    assert torch.equal(again.push(px), torch.cat(pieces, dim=2))
    assert encoder.px_frames == 17 and encoder.waiting == 0


def test_frames_that_fill_no_latent_frame_wait_or_are_filled_up(vae):
    px = torch.rand(1, 3, 7, 32, 32)
    encoder = StreamEncoder(vae)
    assert encoder.push(px).shape[2] == 2 and encoder.waiting == 2
    filled = torch.cat([px, px[:, :, -1:], px[:, :, -1:]], dim=2)
    torch.testing.assert_close(encoder.flush(), vae.encode(filled)[:, :, 2:], atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="no px frames wait"):
        encoder.flush()
    encoder.reset()
    torch.testing.assert_close(encoder.push(px[:, :, :1]), vae.encode(px[:, :, :1]))


def test_an_encoder_holds_a_constant_number_of_frames(vae):
    encoder = StreamEncoder(vae)
    sizes = []
    for _ in range(4):
        encoder.push(torch.rand(1, 3, 9, 32, 32))
        encoder.push(torch.rand(1, 3, 3, 32, 32))
        kept = (*encoder.memory.values(), *encoder._waiting)
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in kept))
    assert sizes[1] == sizes[2] == sizes[3]


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
