"""Tiny decoders and plain colours: files of TAEHV's format against a plain whole-clip decoder."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from causvid_core.media.latent_rgb import WAN21_BIAS, WAN21_FACTORS, ColourDecoder
from causvid_core.media.tiny import TinyDecoder, TinyVAE
from causvid_core.media.vae import LATENT_MEAN, LATENT_STD

WIDTHS = (12, 8, 8, 4)
LAYOUT = (
    [f"decoder.{n}.weight" for n in (1, 8, 14, 20, 22)]
    + [
        f"decoder.{n}.{part}.weight"
        for n in (3, 4, 5, 9, 10, 11, 15, 16, 17)
        for part in ("conv.0", "conv.2", "conv.4")
    ]
    + [f"decoder.{n}.conv.weight" for n in (7, 13, 19)]
)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    weights = {name: value * 1.5 for name, value in TinyVAE(WIDTHS).state_dict().items()}
    return weights | {"encoder.0.weight": torch.zeros(64, 3, 3, 3)}


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return 2 * torch.randn(2, 16, 5, 3, 4, generator=torch.Generator().manual_seed(1))


def decode_whole(weights: dict[str, torch.Tensor], latents: torch.Tensor) -> torch.Tensor:
    """TAEHV's architecture written out, one video and one frame at a time: [B, 3, T, H, W]."""

    def conv(name: str, x: torch.Tensor, padding: int = 1) -> torch.Tensor:
        bias = weights.get(f"{name}.bias")
        return F.conv2d(x[None], weights[f"{name}.weight"], bias, padding=padding)[0]

    def remember(index: int, frames: list[torch.Tensor]) -> list[torch.Tensor]:
        made, name = [], f"decoder.{index}.conv"
        for before, x in zip([torch.zeros_like(frames[0]), *frames], frames, strict=False):
            y = conv(f"{name}.0", torch.cat([x, before])).relu()
            made.append((conv(f"{name}.4", conv(f"{name}.2", y).relu()) + x).relu())
        return made

    videos = []
    for video in latents:
        frames = [3 * torch.tanh(frame / 3) for frame in video.unbind(1)]
        frames = [conv("decoder.1", frame).relu() for frame in frames]
        for stage in (3, 9, 15):
            for index in range(stage, stage + 3):
                frames = remember(index, frames)
            frames = [x.repeat_interleave(2, 1).repeat_interleave(2, 2) for x in frames]
            grown = [conv(f"decoder.{stage + 4}.conv", x, padding=0) for x in frames]
            width = weights[f"decoder.{stage + 4}.conv.weight"].shape[1]
            frames = [part for x in grown for part in x.split(width)]
            frames = [conv(f"decoder.{stage + 5}", x) for x in frames]
        frames = [conv("decoder.22", x.relu()).clamp(0, 1) for x in frames]
        videos.append(torch.stack(frames[3:], dim=1))
    return torch.stack(videos)


@pytest.fixture(scope="module", params=["taew2_1.safetensors", "lighttaew2_1.pth"])
def path(request, weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("vae_approx") / request.param
    (torch.save if path.suffix == ".pth" else save_file)(weights, path)
    return path


@pytest.mark.parametrize("cuts", [[1, 1, 1, 1, 1], [2, 3], [5]], ids=str)
def test_a_file_decodes_to_the_plain_whole(path, weights, latents, cuts):
    assert set(LAYOUT) <= set(weights)
    read = latents
    if "light" in path.name:
        std, mean = (torch.tensor(v).view(-1, 1, 1, 1) for v in (LATENT_STD, LATENT_MEAN))
        read = latents * std + mean
    expected = decode_whole(weights, read)
    assert 0.2 < ((expected > 0) & (expected < 1)).float().mean()
    decoder = TinyDecoder.from_file(path)
    pieces = [decoder.decode(part) for part in latents.split(cuts, dim=2)]
    assert [piece.shape[2] for piece in pieces] == [4 * cuts[0] - 3, *(4 * c for c in cuts[1:])]
    torch.testing.assert_close(torch.cat(pieces, dim=2), expected, atol=1e-5, rtol=0)
    decoder.reset()
    assert torch.equal(decoder.decode(latents), torch.cat(pieces, dim=2))


def test_a_memory_can_be_gone_on_from_twice(path, latents):
    decoder = TinyDecoder.from_file(path)
    whole = decoder.decode(latents)
    decoder.reset()
    first, memory = decoder.decode(latents[:, :, :2]), decoder.memory
    for _ in range(2):
        decoder.memory = memory
        rest = decoder.decode(latents[:, :, 2:])
        assert torch.equal(torch.cat([first, rest], dim=2), whole)


def test_the_last_latents_within_reach_give_the_memory_and_fewer_do_not(weights):
    decoder = TinyDecoder(TinyVAE.from_state_dict(weights))
    latents = torch.randn(1, 16, 12, 2, 2, generator=torch.Generator().manual_seed(2))
    decoder.decode(latents)
    whole = decoder.memory.past
    for frames, equal in ((decoder.reach, True), (decoder.reach - 1, False)):
        decoder.reset()
        decoder.decode(latents[:, :, -frames:])
        assert all(map(torch.equal, whole, decoder.memory.past)) is equal


FOREIGN = {
    "wan vae": ({"decoder.head.0.gamma": torch.ones(4)}, "it has no decoder.1.weight"),
    "other latents": ({"decoder.1.weight": torch.ones(12, 48, 3, 3)}, "latents of 48 channels"),
    "patches": ({"decoder.22.weight": torch.ones(12, 4, 3, 3)}, "to 12 values per px"),
    "two frames": ({"decoder.19.conv.weight": torch.ones(8, 8, 1, 1)}, "makes 2 px frames"),
    "more layers": ({"decoder.30.weight": torch.ones(1)}, "Unexpected key"),
    "other kernel": ({"decoder.8.weight": torch.ones(8, 12, 1, 1)}, "size mismatch"),
    "flat": ({"decoder.1.weight": torch.ones(3)}, "not 2D convolutions"),
}


@pytest.mark.parametrize("changes", FOREIGN)
def test_foreign_files_are_refused_in_a_sentence(weights, changes, tmp_path):
    change, sentence = FOREIGN[changes]
    path = tmp_path / "taew2_1.safetensors"
    save_file(change if changes == "wan vae" else weights | change, path)
    with pytest.raises(ValueError, match=sentence) as refusal:
        TinyDecoder.from_file(path)
    assert "use taew2_1 or lighttaew2_1" in str(refusal.value)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Call:
        def __reduce__(self):
            return print, ("called",)

    path = tmp_path / "taew2_1.pth"
    path.write_bytes(pickle.dumps({"decoder.1.weight": Call()}, protocol=2))
    with pytest.raises(ValueError, match=path.name):
        TinyDecoder.from_file(path)


@pytest.mark.parametrize("scale", [1, 8])
def test_colours_have_the_life_cycle_too(latents, scale):
    decoder = ColourDecoder(scale=scale)
    whole = decoder.decode(latents)
    assert whole.shape == (2, 3, 17, 3 * scale, 4 * scale)
    if scale == 1:
        factors, bias = torch.tensor(WAN21_FACTORS), torch.tensor(WAN21_BIAS)
        linear = (latents.movedim(1, -1) @ factors + bias).movedim(-1, 1)
        expected = ((linear + 1) / 2).clamp(0, 1)
        torch.testing.assert_close(whole[:, :, ::4], expected, atol=1e-5, rtol=0)
        middle = (expected[:, :, 0] + expected[:, :, 1]) / 2
        torch.testing.assert_close(whole[:, :, 2], middle, atol=1e-5, rtol=0)
    decoder.reset()
    first = decoder.decode(latents[:, :, :2])
    memory = decoder.memory
    for _ in range(2):
        decoder.memory = memory
        assert torch.equal(torch.cat([first, decoder.decode(latents[:, :, 2:])], dim=2), whole)
