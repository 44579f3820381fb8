"""Files: safetensors read without trust and written in one move, stream files, shards.

Others use the names below and the submodules `safetensors_file` and `lazy`; the rest is private.
Nothing in here knows models; `journal` and the modules named `stream_...` know streams, and nothing
in the engine knows them.

`save_stream`, `load_stream`, `is_stream_file`, `SUFFIX`: streams in files.
`StreamJournal`, `load_journal`: checkpoints of a stream, each as cheap as the first.
`DiskStore`: finished latents on the disk instead of in memory.
`ShardWriter`, `ShardSet`, `ShardError`: training data.
`replacing`: a file that appears when it is whole.
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "DiskStore": "disk",
        "SUFFIX": "stream_files",
        "ShardError": "shards",
        "ShardSet": "shards",
        "ShardWriter": "shards",
        "StreamJournal": "journal",
        "is_stream_file": "stream_files",
        "load_journal": "journal",
        "load_stream": "stream_files",
        "replacing": "atomic",
        "save_stream": "stream_files",
    },
)
