"""Recorded streams read back: the model, what each stream is, and how it continues.

Only the package's public interface and the format of stream files are used here.
"""

import hashlib
import json
import zlib
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

import causvid_core as cv

FOLDER = Path(__file__).resolve().parent
STREAMS, CONTINUED = FOLDER / "streams", FOLDER / "continued"
MODEL, ARITHMETIC = FOLDER / "model.safetensors", FOLDER / "arithmetic.safetensors"
NAMES = sorted(path.stem for path in STREAMS.glob("*.safetensors"))
BLOCKS = 3
"""Blocks that are recorded of every stream's continuation."""


def model():
    """The stored model; it computes in float32."""
    with safe_open(MODEL, "pt") as file:
        sizes = json.loads(file.metadata()["config"])
    made = cv.CausalWan(cv.WanConfig(**sizes))
    made.load_state_dict(load_file(MODEL))
    return made


def read(path):
    """The tensors of a safetensors file, and its metadata with all that is JSON parsed."""
    with safe_open(path, "pt") as file:
        metadata = {name: parsed(text) for name, text in file.metadata().items()}
    return load_file(path), metadata


def parsed(text):
    return json.loads(text) if text.startswith(("{", "[")) else text


def raw(tensor):
    """The bytes of a tensor."""
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def bits(tensors):
    """Tensors by name as dtype, shape and bytes, to be compared."""
    return {name: (each.dtype, each.shape, raw(each)) for name, each in tensors.items()}


def edit(source, target, change):
    """Copy a stream file; change(tensors, header) changes both in place. Checksums are renewed."""
    tensors, metadata = read(source)
    header = metadata["stream"]
    change(tensors, header)
    header["tensors"] = {
        name: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        for name, tensor in tensors.items()
    }
    header["checksums"] = {name: zlib.crc32(raw(tensor)) for name, tensor in tensors.items()}
    header["notes"] = {}
    text = json.dumps(header)
    own = {name: metadata[name] for name in ("format", "version")}
    save_file(tensors, target, own | {"stream": text, "checksum": str(zlib.crc32(text.encode()))})
    return target


def drop_cache(tensors, header):
    """Make a stream file one of latents and prompts only."""
    for name in list(tensors):
        if name.split(".")[0] in ("keys", "values", "scales"):
            del tensors[name]
    header["snapshot"] = None


def clear_values(tensors, header):
    """Make the cache of a stream file one that no model has computed."""
    for name, tensor in tensors.items():
        if name.startswith("values."):
            tensor.zero_()


def continued(state, context, switch):
    """The next blocks of a stream, and their latents."""
    blocks = list(cv.rollout(model(), state, context, BLOCKS, switch=switch))
    return blocks, torch.cat([block.latents for block in blocks], dim=2)


def arithmetic(given):
    """Digests of what this machine makes of `given` [2, 64, 32], with PyTorch's functions alone.

    Sizes and layouts are those of the streams.
    Kernels add in another order on another processor, so the last bits may differ there.
    """
    weights, found = load_file(MODEL), {}
    # Copies, because where memory begins decides on kernels as well, and files put it anywhere.
    given, up, down = (tensor.clone() for tensor in (
        given, weights["blocks.0.ffn.0.weight"], weights["blocks.0.ffn.2.weight"]
    ))  # fmt: skip
    for batch in (1, 2):
        x = given[:batch]
        for tokens in (6, 18, 36, 54):
            wide = functional.gelu(functional.linear(x[:, :tokens], up), approximate="tanh")
            found[f"layer {batch} {tokens}"] = functional.linear(wide, down)
            q, k, v = (x[:, part].unflatten(-1, (2, -1)).transpose(1, 2) for part in
                       (slice(18), slice(tokens), slice(9, 9 + tokens)))  # fmt: skip
            attended = functional.scaled_dot_product_attention(q, k, v)
            found[f"attention {batch} {tokens}"] = attended.contiguous()
        found[f"layer norm {batch}"] = functional.layer_norm(x, x.shape[-1:])
        found[f"rms norm {batch}"] = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        found[f"silu {batch}"] = functional.silu(x[:, 0])
    angle = torch.outer(torch.arange(64).double(), 10000.0 ** (-torch.arange(16).double() / 16))
    found["waves"] = torch.cat((angle.cos(), angle.sin()), dim=-1).float()
    rotation = torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
    pairs = torch.view_as_complex(given[0, :64].unflatten(-1, (-1, 2)).contiguous())
    found["rotated"] = torch.view_as_real(pairs * rotation)
    for frames in (1, 2, 3):
        noise = torch.Generator().manual_seed(frames)
        found[f"noise {frames}"] = torch.randn(16, frames, 4, 6, generator=noise)
    return {name: hashlib.sha256(raw(tensor)).hexdigest() for name, tensor in found.items()}


def same_arithmetic():
    """Whether this machine computes to the bit as the one that recorded did."""
    tensors, metadata = read(ARITHMETIC)
    return arithmetic(tensors["tokens"]) == metadata["digests"]
