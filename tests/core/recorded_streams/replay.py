"""Recorded streams read back: the model, what each stream is, and how it continues.

Only the package's public interface and the format of stream files are used here.
"""

import hashlib
import json
import zlib
from contextlib import contextmanager
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


def model(dtype=torch.float32):
    """The stored model, computing in `dtype`."""
    with safe_open(MODEL, "pt") as file:
        sizes = json.loads(file.metadata()["config"])
    made = cv.CausalWan(cv.WanConfig(**sizes))
    made.load_state_dict(load_file(MODEL))
    return made.to(dtype)


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


def continued(state, context, known):
    """The next blocks of a stream, and their latents. known: the continuation's metadata."""
    blocks = list(
        cv.rollout(
            model(getattr(torch, known["dtype"])), state, context, BLOCKS, switch=known["switch"]
        )
    )
    return blocks, torch.cat([block.latents for block in blocks], dim=2)


def arithmetic(given):
    """Digests of what this machine makes of `given` [2, 64, 32], with PyTorch's functions alone.

    Sizes and layouts are those of the streams. Kernels add in another order on another processor,
    so the last bits may differ there.
    """
    found = _network_functions(given, torch.float32) | _network_functions(given, torch.bfloat16)
    angle = torch.outer(torch.arange(64).double(), 10000.0 ** (-torch.arange(16).double() / 16))
    found["waves"] = torch.cat((angle.cos(), angle.sin()), dim=-1).float()
    rotation = torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
    pairs = torch.view_as_complex(given[0, :64].clone().unflatten(-1, (-1, 2)))
    found["rotated"] = torch.view_as_real(pairs * rotation)
    for frames in (1, 2, 3):
        noise = torch.Generator().manual_seed(frames)
        found[f"noise {frames}"] = torch.randn(16, frames, 4, 6, generator=noise)
    return {name: hashlib.sha256(raw(tensor)).hexdigest()[:16] for name, tensor in found.items()}


def _network_functions(given, dtype):
    # Copies, because where memory begins decides on kernels as well, and files put it anywhere.
    given = given.to(dtype, copy=True)
    weights = {name: each.to(dtype, copy=True) for name, each in load_file(MODEL).items()}
    layers = {each.shape: name.removesuffix(".weight") for name, each in weights.items() if
              name.endswith(".weight") and each.ndim > 1}  # fmt: skip
    found = {}
    for batch in (1, 2):
        x, run = given[:batch], f"{dtype} {batch}"
        for layer in layers.values():
            weight, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
            for count in (1, 3, 5, 12, 18, 36, 48, 54):
                size = (batch, count, *weight.shape[1:])
                if weight.ndim == 5:
                    size = (batch, weight.shape[1], 3, 4, 4 + 2 * (count > 12))
                filling = -(-torch.Size(size).numel() // given.numel())
                values = given.flatten().repeat(filling)[: torch.Size(size).numel()].view(size)
                found[f"{layer} {run} {count}"] = (
                    functional.linear(values, weight, bias)
                    if weight.ndim == 2
                    else functional.conv3d(values, weight, bias, stride=weight.shape[2:])
                )
        for tokens in (4, 12, 18, 36, 48, 54):
            q, k, v = (x[:, part].unflatten(-1, (2, -1)).transpose(1, 2) for part in
                       (slice(18), slice(tokens), slice(9, 9 + tokens)))  # fmt: skip
            found[f"attention {run} {tokens}"] = functional.scaled_dot_product_attention(q, k, v)
        found[f"layer norm {run}"] = functional.layer_norm(x, x.shape[-1:])
        found[f"rms norm {run}"] = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        found[f"silu {run}"] = functional.silu(x[:, 0])
        found[f"gelu {run}"] = functional.gelu(x, approximate="tanh")
    return found


@contextmanager
def one_thread():
    """Compute in one thread, as the machine did that recorded: several add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def same_arithmetic():
    """Whether this machine computes to the bit as the one that recorded did."""
    tensors, metadata = read(ARITHMETIC)
    return arithmetic(tensors["tokens"]) == metadata["digests"]
