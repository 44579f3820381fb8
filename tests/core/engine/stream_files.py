"""Stream files taken apart and put together again, wrongly on purpose."""

import json
import struct
import zlib

from causvid_core.storage.stream_files import _pack


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


def same(a, b):
    """Whether two states hold the same to the bit."""
    (tensors_a, header_a), (tensors_b, header_b) = _pack(a), _pack(b)
    return header_a == header_b and all(
        tensors_a[name].numpy().tobytes() == tensors_b[name].numpy().tobytes() for name in tensors_a
    )
