"""The transformer: one forward over any module tree with Wan 2.1's names.

Standalone the tree is `CausalWan`; in a host it is the host's own model. Only leaf modules are
called and parameters are cast where they are read, so weight patches, quantised storage and
offloading keep working. Facts of the network: Wan (arXiv 2503.20314); per-frame timesteps and
the block-causal order: CausVid (arXiv 2412.07772).
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import SelfAttend
from .binding import BoundWan
from .kv_cache import CachedAttention
from .modules import Block
from .prompt import EncodedPrompt


def denoise(
    bound: BoundWan, noisy: Tensor, timesteps: Tensor, attend: SelfAttend, prompt: EncodedPrompt
) -> Tensor:
    """Flow [B, 16, T, H, W] in the dtype of `noisy` [B, C, T, H, W].

    timesteps [b, f], b and f being one or the number of samples and of latent frames.
    """
    flow = bound.within(bound.tree, _denoise, bound, noisy, timesteps, attend, prompt)
    return flow.to(noisy.dtype)


def _denoise(
    bound: BoundWan, noisy: Tensor, timesteps: Tensor, attend: SelfAttend, prompt: EncodedPrompt
) -> Tensor:
    x, grid = patch_tokens(bound, noisy)
    time, modulation = embed_time(bound, timesteps)
    x = _layers(bound, bound.config.num_layers, x, modulation, attend, prompt)
    return _head(bound, x, time, grid)


def write_cache(
    bound: BoundWan,
    clean: Tensor,
    timesteps: Tensor,
    attend: CachedAttention,
    prompt: EncodedPrompt,
) -> None:
    """The clean pass: what `denoise` does, up to the last layer's keys and values.

    `attend` keeps what it is given; nothing after the last keys and values is computed.
    """
    bound.within(bound.tree, _write_cache, bound, clean, timesteps, attend, prompt)


def _write_cache(
    bound: BoundWan,
    clean: Tensor,
    timesteps: Tensor,
    attend: CachedAttention,
    prompt: EncodedPrompt,
) -> None:
    x, _ = patch_tokens(bound, clean)
    _, modulation = embed_time(bound, timesteps)
    last = bound.config.num_layers - 1
    x = _layers(bound, last, x, modulation, attend, prompt)
    bound.within(bound.layer(last), _keep_last, bound, last, x, modulation, attend)


def _keep_last(
    bound: BoundWan, layer: int, x: Tensor, modulation: Tensor, attend: CachedAttention
) -> None:
    block = bound.layer(layer)
    shift, scale = _modulation(block.modulation, modulation, x.dtype)[:2]
    attend.keep(layer, *_keys_values(bound, block, _modulate(block.norm1, x, shift, scale)))


def patch_tokens(bound: BoundWan, latents: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """Latents [B, C, T, H, W] to tokens [B, N, dim] and their grid (T, rows, columns).

    Image-to-video models are given zeros (no image) in the channels that `latents` lacks.
    """
    embedding = bound.tree.patch_embedding
    missing = bound.config.in_dim - latents.shape[1]
    if missing:
        latents = torch.nn.functional.pad(latents, (0, 0, 0, 0, 0, 0, 0, missing))
    stored = embedding.weight.dtype
    # Hosts keep this layer in float32; storage formats below 16 bits are cast by the layer.
    x = embedding(latents.to(stored if stored.itemsize > 1 else bound.dtype))
    _, _, frames, rows, columns = x.shape
    tokens = rearrange(x, "b c t h w -> b (t h w) c").to(bound.dtype).contiguous()
    return tokens, (frames, rows, columns)


def embed_time(bound: BoundWan, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Timesteps [b, f] to the head's embedding [b, f, 1, dim] and the blocks' [b, f, 6, dim]."""
    half = bound.config.freq_dim // 2
    exact = torch.float32 if timesteps.device.type == "mps" else torch.float64
    order = torch.arange(half, dtype=exact, device=timesteps.device)
    angle = timesteps.to(exact)[..., None] * torch.pow(10000.0, -order / half)
    waves = torch.cat((angle.cos(), angle.sin()), dim=-1).to(bound.dtype)
    time = bound.tree.time_embedding(waves)
    modulation: Tensor = bound.tree.time_projection(time)
    return time.unsqueeze(2), modulation.view(*time.shape[:2], 6, -1)


def check_latents(bound: BoundWan, latents: Tensor) -> tuple[int, int, int]:
    """(T, H, W) of latents [B, C, T, H, W]; ValueError when the model cannot take them."""
    config = bound.config
    if latents.ndim != 5 or latents.shape[1] not in (config.out_dim, config.in_dim):
        raise ValueError(
            f"latents have shape {tuple(latents.shape)}; expected "
            f"(batch, {config.out_dim}, latent frames, height, width)"
        )
    _, _, frames, height, width = latents.shape
    config.grid(height, width)
    return frames, height, width


def _layers(
    bound: BoundWan,
    count: int,
    x: Tensor,
    modulation: Tensor,
    attend: SelfAttend,
    prompt: EncodedPrompt,
) -> Tensor:
    """The first `count` layers over tokens x [B, N, dim]; see `_block`."""
    for layer in range(count):
        block = bound.layer(layer)
        x = bound.within(block, _block, bound, layer, x, modulation, attend, prompt)
    return x


def _block(
    bound: BoundWan,
    layer: int,
    x: Tensor,
    modulation: Tensor,
    attend: SelfAttend,
    prompt: EncodedPrompt,
) -> Tensor:
    """One layer over tokens x [B, N, dim], which it overwrites where no gradient is wanted."""
    block = bound.layer(layer)
    shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = _modulation(
        block.modulation, modulation, x.dtype
    )
    own, inputs = block.self_attn, _modulate(block.norm1, x, shift, scale)
    q = bound.heads(own.norm_q(own.q(inputs)))
    k, v = _keys_values(bound, block, inputs)
    x = _add_gated(x, own.o(attend(layer, q, k, v).flatten(2)), gate)
    from_prompt = _attend_prompt(bound, block, layer, x, prompt)
    x = x + from_prompt if torch.is_grad_enabled() else x.add_(from_prompt)
    return _add_gated(x, block.ffn(_modulate(block.norm2, x, ffn_shift, ffn_scale)), ffn_gate)


def _keys_values(bound: BoundWan, block: Block, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised keys, not rotated yet, and values of modulated inputs: [B, N, h, d] each."""
    own = block.self_attn
    return bound.heads(own.norm_k(own.k(inputs))), bound.heads(own.v(inputs))


def _attend_prompt(
    bound: BoundWan, block: Block, layer: int, x: Tensor, prompt: EncodedPrompt
) -> Tensor:
    cross = block.cross_attn
    q = bound.heads(cross.norm_q(cross.q(block.norm3(x))))
    out = bound.attention(q, prompt.keys[layer], prompt.values[layer], prompt.bias)
    if prompt.image_keys:
        out = out + bound.attention(q, prompt.image_keys[layer], prompt.image_values[layer])
    projected: Tensor = cross.o(out.flatten(2))
    return projected


def _head(bound: BoundWan, x: Tensor, time: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Tokens [B, N, dim] to flow [B, 16, T, H, W]: unpatchify."""
    head = bound.tree.head
    shift, scale = _modulation(head.modulation, time, x.dtype)
    pixels: Tensor = head.head(_modulate(head.norm, x, shift, scale))
    (t, h, w), (_, p, q) = grid, bound.config.patch_size
    return rearrange(pixels, "b (t h w) (p q c) -> b c t (h p) (w q)", t=t, h=h, w=w, p=p, q=q)


def _modulation(parameter: Tensor, time: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Shifts, scales (one added) and gates [b, f, 1, dim], summed in float32.

    `parameter` [1, n, dim] may live elsewhere and in another dtype; `time` is [b, f, n or 1, dim].
    """
    table = parameter.to(device=time.device, dtype=torch.float32) + time.float()
    table[:, :, 1::3] += 1  # the second of every three is a scale; so is the head's
    return table.to(dtype).unsqueeze(3).unbind(2)


def _modulate(norm: nn.Module, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """norm(x) * scale + shift, frame by frame: [B, N, dim], shift and scale [b, f, 1, dim]."""
    by_frame = _by_frame(norm(x), shift)
    out = None if torch.is_grad_enabled() else by_frame
    return torch.addcmul(shift, by_frame, scale, out=out).flatten(1, 2)


def _add_gated(x: Tensor, y: Tensor, gate: Tensor) -> Tensor:
    """x + y * gate, frame by frame; overwrites x where no gradient is wanted."""
    by_frame = _by_frame(x, gate)
    out = None if torch.is_grad_enabled() else by_frame
    return torch.addcmul(by_frame, _by_frame(y, gate), gate, out=out).flatten(1, 2)


def _by_frame(x: Tensor, modulation: Tensor) -> Tensor:
    """A view [B, f, N / f, dim] of [B, N, dim], for a modulation [b, f, 1, dim]."""
    return x.view(x.shape[0], modulation.shape[1], -1, x.shape[2])
