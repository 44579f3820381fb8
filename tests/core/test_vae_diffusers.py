"""The streaming VAE against diffusers' AutoencoderKLWan at once, on the same random weights."""

import re
from itertools import pairwise

import pytest
import torch

from causvid_core.media.vae import LATENT_MEAN, LATENT_STD, WanVAE
from causvid_core.media.wan_stream import WanDecoder, WanEncoder

AutoencoderKLWan = pytest.importorskip("diffusers").AutoencoderKLWan

DIM = 8
LAYERS = (
    (r"\.residual\.0\.gamma$", ".norm1.gamma"),
    (r"\.residual\.2\.", ".conv1."),
    (r"\.residual\.3\.gamma$", ".norm2.gamma"),
    (r"\.residual\.6\.", ".conv2."),
    (r"\.shortcut\.", ".conv_shortcut."),
    (r"^(en|de)coder\.conv1\.", r"\1coder.conv_in."),
    (r"\.middle\.([02])\.", lambda found: f".mid_block.resnets.{int(found[1]) // 2}."),
    (r"\.middle\.1\.", ".mid_block.attentions.0."),
    (r"\.head\.0\.gamma$", ".norm_out.gamma"),
    (r"\.head\.2\.", ".conv_out."),
    (r"\.downsamples\.", ".down_blocks."),
    (r"\.upsamples\.(\d+)\.", lambda found: _up_block(int(found[1]))),
    (r"^conv1\.", "quant_conv."),
    (r"^conv2\.", "post_quant_conv."),
)


def _up_block(index: int) -> str:
    """Wan numbers the decoder's layers through, diffusers by level: three blocks and a change."""
    level, place = divmod(index, 4)
    inner = "upsamplers.0" if place == 3 else f"resnets.{place}"
    return f".up_blocks.{level}.{inner}."


def their_name(name: str) -> str:
    for pattern, replacement in LAYERS:
        name = re.sub(pattern, replacement, name)
    return name


@pytest.fixture(scope="module")
def vaes() -> tuple[WanVAE, AutoencoderKLWan]:
    torch.manual_seed(0)
    ours = WanVAE.from_state_dict(WanVAE(DIM).state_dict())
    theirs = AutoencoderKLWan(base_dim=DIM, z_dim=16).eval().requires_grad_(False)
    renamed = {their_name(name): weight for name, weight in ours.state_dict().items()}
    theirs.load_state_dict(renamed)
    return ours, theirs


def raw(latents: torch.Tensor) -> torch.Tensor:
    """Latents in the VAE's own scale, as diffusers has them."""
    std, mean = (torch.tensor(values).view(-1, 1, 1, 1) for values in (LATENT_STD, LATENT_MEAN))
    return latents * std + mean


@pytest.mark.parametrize("way", [range(5), (0, 1, 4), (0, 3, 4), (0, 4)], ids=str)
def test_latents_decode_to_what_diffusers_gives(vaes, way):
    ours, theirs = vaes
    latents = torch.randn(2, 16, 4, 4, 6, generator=torch.Generator().manual_seed(1))
    expected = theirs.decode(raw(latents)).sample / 2 + 0.5
    decoder = WanDecoder(ours)
    pieces = [decoder.decode(latents[:, :, start:end]) for start, end in pairwise(way)]
    torch.testing.assert_close(torch.cat(pieces, dim=2), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("way", [range(14), (0, 3, 8, 13), (0, 13)], ids=str)
def test_px_encode_to_what_diffusers_gives(vaes, way):
    ours, theirs = vaes
    px = torch.rand(2, 3, 13, 32, 48, generator=torch.Generator().manual_seed(1))
    expected = theirs.encode(px * 2 - 1).latent_dist.mode()
    encoder = WanEncoder(ours)
    pieces = [encoder.encode(px[:, :, start:end]) for start, end in pairwise(way)]
    joined = torch.cat([piece for piece in pieces if piece is not None], dim=2)
    torch.testing.assert_close(raw(joined), expected, atol=1e-4, rtol=0)
