"""Checkpoints: reading every published layout of a Wan transformer, merging, converting.

The stages, each a file: `read` opens, `names` renames, `identify` names what is something else,
`checkpoint` verifies and loads, `lora` merges, `conversion` writes, `hub` downloads. Others use
the names below; the rest is private.
"""

from .checkpoint import Checkpoint, infer_config, load_model, open_checkpoint, read_state_dict
from .conversion import convert, host_metadata
from .errors import CheckpointError
from .hub import download
from .names import normalise
from .read import read_stored
from .repositories import DOWNLOADS
from .summary import summarise

__all__ = [
    "DOWNLOADS",
    "Checkpoint",
    "CheckpointError",
    "convert",
    "download",
    "host_metadata",
    "infer_config",
    "load_model",
    "normalise",
    "open_checkpoint",
    "read_state_dict",
    "read_stored",
    "summarise",
]
