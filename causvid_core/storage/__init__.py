"""Files: safetensors read without trust and written in one move, stream files, shards.

Others use the names below and the submodules `safetensors_file`, `lazy` and `reserve`; the rest
is private. Nothing in here knows models; `journal`, `checkpoints` and the modules named
`stream_...` know streams, and nothing in the engine knows them.

`save_stream`, `load_stream`, `is_stream_file`, `SUFFIX`: streams in files.
`StreamJournal`, `load_journal`: checkpoints of a stream, each as cheap as the first.
`Checkpoints`, `render_key`, `decisive`: a render resumes where an earlier run was killed.
`SpaceWatch`: how long the space on a disk lasts.
`DiskStore`: finished latents on the disk instead of in memory.
`ShardWriter`, `ShardSet`, `ShardError`: training data.
`replacing`: a file that appears when it is whole.
`same_file`: whether two names stand for one file.
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Checkpoints": "checkpoints",
        "DiskStore": "disk",
        "Event": "checkpoints",
        "SUFFIX": "stream_files",
        "ShardError": "shards",
        "ShardSet": "shards",
        "ShardWriter": "shards",
        "SpaceWatch": "space",
        "StreamJournal": "journal",
        "decisive": "checkpoints",
        "is_stream_file": "stream_files",
        "load_journal": "journal",
        "load_stream": "stream_files",
        "render_key": "checkpoints",
        "replacing": "atomic",
        "same_file": "atomic",
        "save_stream": "stream_files",
    },
)
