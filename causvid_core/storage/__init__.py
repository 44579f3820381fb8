"""Safetensors in and out, stream files, shards, and tensors that lie on disk.

Outside of the core use the names below, and `save_stream` and `load_stream` of `causvid_core`.
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__, {"SUFFIX": "stream_files", "DiskStore": "disk", "is_stream_file": "stream_files"}
)
