"""Stream files taken apart and put together again, wrongly on purpose."""

import json
import struct
import zlib

import torch
from safetensors.torch import save_file


def parts(path):
    """Header and data of a safetensors file."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def put(path, header, data=b"", length=None):
    """Write a header, a value or bytes, with data behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def rewrite(path, change):
    """Change the metadata and the parsed stream header of a file and write valid checksums."""
    header, data = parts(path)
    metadata = header["__metadata__"]
    stream = json.loads(metadata["stream"])
    stream = change(metadata, stream) or stream
    metadata["stream"] = json.dumps(stream)
    metadata["checksum"] = str(zlib.crc32(metadata["stream"].encode()))
    put(path, header, data)


def listed(state):
    """Named tensors and header of a state, as format version 3 had them."""
    tensors, contexts, blocks = {}, {}, []
    for index, block in enumerate(state.history):
        name = contexts.setdefault(id(block.context), f"context.{len(contexts)}")
        tensors[name] = block.context.contiguous()
        tensors[f"latents.{index}"] = block.latents.contiguous()
        blocks.append({"key": block.id, "context": name, "switch": block.switch})
    snapshot = decoder = None
    if state.snapshot is not None:
        for kind in ("keys", "values", "scales"):
            for number, tensor in enumerate(getattr(state.snapshot, kind)):
                tensors[f"{kind}.{number}"] = tensor.contiguous()
        snapshot = {
            "blocks": state.snapshot.blocks,
            "layers": len(state.snapshot.keys),
            "scales": len(state.snapshot.scales),
            "signature": state.snapshot.signature,
        }
    if state.decoder is not None:
        for index, tensor in enumerate(state.decoder.past):
            tensors[f"decoder.{index}"] = tensor.contiguous()
        decoder = {
            "name": state.decoder.name,
            "blocks": state.decoder.blocks,
            "tensors": len(state.decoder.past),
        }
    header = {
        "recipe": state.recipe.to_dict(),
        **{name: getattr(state, name) for name in ("height", "width", "batch", "seed", "model")},
        "switch": state.switch,
        "blocks": blocks,
        "snapshot": snapshot,
        "decoder": decoder,
        "tensors": {
            name: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
            for name, tensor in tensors.items()
        },
    }
    return tensors, header


def save_version_3(state, path, notes=None):
    """What `save_stream` wrote before version 4."""
    notes = notes or {}
    tensors, header = listed(state)
    header["checksums"] = {name: zlib.crc32(raw(tensor)) for name, tensor in tensors.items()}
    header["notes"] = {name: zlib.crc32(text.encode()) for name, text in notes.items()}
    text = json.dumps(header)
    metadata = {"format": "causvid-stream", "version": "3", "stream": text}
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata | {"checksum": str(zlib.crc32(text.encode()))} | notes)


def same(a, b):
    """Whether two states hold the same to the bit."""
    (tensors_a, header_a), (tensors_b, header_b) = listed(a), listed(b)
    return header_a == header_b and all(
        raw(tensors_a[name]) == raw(tensors_b[name]) for name in tensors_a
    )


def raw(tensor):
    """The bytes of a tensor."""
    return tensor.flatten().view(torch.uint8).numpy().tobytes()
