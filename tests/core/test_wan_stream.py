"""Wan's VAE as a stream, against itself at once: every cut, memories kept and gone on from."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from causvid_core.media.decoding import Memory
from causvid_core.media.vae import WanVAE
from causvid_core.media.wan_stream import WanDecoder, WanEncoder

CUTS = [[1, 1, 1, 1, 1], [1, 3, 1], [3, 2], [5], [2, 0, 3]]


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    torch.manual_seed(0)
    return WanVAE.from_state_dict(WanVAE(4).state_dict())


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return torch.randn(2, 16, 5, 4, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def px() -> torch.Tensor:
    return torch.rand(2, 3, 17, 32, 48, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_however_latents_are_pushed_the_px_are_those_of_the_whole(vae, latents, cuts):
    whole = WanDecoder(vae).decode(latents)
    torch.testing.assert_close(whole, vae.decode(latents), atol=1e-5, rtol=0)
    decoder, pieces = WanDecoder(vae), []
    for part in latents.split(cuts, dim=2):
        decoder.push(part)
        while (piece := decoder.pop()) is not None:
            pieces.append(piece)
    assert [piece.shape[2] for piece in pieces] == [1, 4, 4, 4, 4]
    assert decoder.flush() is None and torch.equal(torch.cat(pieces, dim=2), whole)


@pytest.mark.parametrize("cuts", [[17], [1] * 17, [2, 3, 5, 7], [4, 4, 4, 4, 1], [1, 15, 1]])
def test_however_px_are_pushed_the_latents_are_those_of_the_whole(vae, px, cuts):
    whole = WanEncoder(vae).encode(px)
    torch.testing.assert_close(whole, vae.encode(px), atol=1e-5, rtol=0)
    encoder, pieces = WanEncoder(vae), []
    for count, part in enumerate(px.split(cuts, dim=2), 1):
        pieces.append(encoder.encode(part))
        made = sum(piece.shape[2] for piece in pieces if piece is not None)
        assert made == 1 + (sum(cuts[:count]) - 1) // 4
    assert torch.equal(torch.cat([p for p in pieces if p is not None], dim=2), whole)
    assert encoder.waiting == 0 and encoder.flush() is None


def test_frames_that_fill_no_latent_frame_wait_or_are_filled_up(vae, px):
    encoder = WanEncoder(vae)
    assert encoder.encode(px[:, :, :7]).shape[2] == 2 and encoder.waiting == 2
    filled = torch.cat([px[:, :, :7], px[:, :, 6:7], px[:, :, 6:7]], dim=2)
    torch.testing.assert_close(encoder.flush(), vae.encode(filled)[:, :, 2:], atol=1e-6, rtol=0)
    encoder.reset()
    encoder.push(px[:, :, :1])
    torch.testing.assert_close(encoder.flush(), vae.encode(px[:, :, :1]))


@pytest.mark.parametrize("direction", ["decode", "encode"])
def test_a_memory_can_be_gone_on_from_twice_elsewhere_and_from_a_file(
    vae, latents, px, direction, tmp_path
):
    """Frames that wait are part of it; what one continuation does is unknown to the other."""
    make = WanDecoder if direction == "decode" else WanEncoder
    frames, cut = (latents, 2) if direction == "decode" else (px, 7)
    whole = getattr(make(vae), direction)(frames)
    codec = make(vae)
    codec.push(frames[:, :, :cut])
    first, memory = codec.pop(), codec.memory
    before = [tensor.clone() for tensor in (*memory.past, *memory.waiting)]
    path = tmp_path / "memory.safetensors"
    save_file({str(n): tensor.contiguous() for n, tensor in enumerate(memory.past)}, path)
    read = load_file(path)
    loaded = Memory(tuple(read[str(n)] for n in range(len(read))), memory.waiting)
    getattr(codec, direction)(frames[:, :, cut:] + 1)  # another continuation
    for kept in (memory, memory, loaded):
        other = make(vae)
        other.memory = kept
        rest = getattr(other, direction)(frames[:, :, cut:])
        assert torch.equal(torch.cat([first, rest], dim=2), whole)
    after = (*memory.past, *memory.waiting)
    assert all(map(torch.equal, before, after))


def test_a_decoder_that_is_interrupted_goes_on_from_where_it_was(vae, latents, monkeypatch):
    whole, decoder = WanDecoder(vae).decode(latents), WanDecoder(vae)
    pieces = [decoder.decode(latents[:, :, :2])]
    decoder.push(latents[:, :, 2:])

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(vae.decoder.head[2], "forward", stop)
        decoder.pop()
    assert torch.equal(torch.cat([*pieces, decoder.flush()], dim=2), whole)


def test_reset_starts_a_new_stream(vae, latents):
    decoder = WanDecoder(vae)
    first = decoder.decode(latents)
    decoder.push(latents)
    decoder.pop()
    decoder.reset()
    assert decoder.flush() is None
    assert torch.equal(decoder.decode(latents), first)
    decoder.reset()
    with pytest.raises(ValueError, match="no latent frames"):
        decoder.decode(latents[:, :, :0])


@pytest.mark.parametrize("make", [WanDecoder, WanEncoder])
def test_memory_is_constant(vae, make):
    codec, sizes = make(vae), []
    frames = torch.rand(1, 16, 3, 4, 4) if make is WanDecoder else torch.rand(1, 3, 12, 32, 32)
    for _ in range(4):
        codec.push(frames)
        codec.drain()
        kept = (*codec.memory.past, *codec.memory.waiting)
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in kept))
    assert sizes == sizes[:1] * 4


@pytest.mark.parametrize("spatial", [False, True], ids=["temporal", "spatial"])
def test_the_last_latents_within_reach_give_the_memory_and_fewer_do_not(vae, spatial):
    """A memory that was dropped is computed again without the rest of the stream."""
    weights = {name: weight.clone() for name, weight in vae.state_dict().items()}
    if spatial:
        for name, weight in weights.items():
            if weight.dim() == 5 and weight.shape[2:] == (3, 3, 3) and "upsamples.0" not in name:
                weight[:, :, :-1] = 0
    decoder = WanDecoder(WanVAE.from_state_dict(weights))
    reach = decoder.reach
    latents = torch.randn(1, 16, reach + 3, 2, 2, generator=torch.Generator().manual_seed(2))
    decoder.decode(latents)
    whole = decoder.memory
    decoder.reset()
    decoder.decode(latents[:, :, -reach:])
    assert all(map(torch.equal, whole.past, decoder.memory.past))
    decoder.reset()
    decoder.decode(latents[:, :, 1 - reach :])
    assert not all(map(torch.equal, whole.past, decoder.memory.past))


def test_names_tell_weights_and_precisions_apart(vae):
    other = {name: weight + 1 for name, weight in vae.state_dict().items()}
    half = {name: weight.bfloat16() for name, weight in vae.state_dict().items()}
    names = {WanDecoder(WanVAE.sharing(w)).name for w in (vae.state_dict(), other, half)}
    assert len(names) == 3 and WanDecoder(vae).name in names
